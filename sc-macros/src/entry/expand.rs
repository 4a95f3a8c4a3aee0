//! What the compiler sees: a function that builds a runtime, and runs the user's body in a root on it.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{AttrStyle, Block, ItemFn, ReturnType, Signature, Type};

use super::options::{Flavor, Options};
use super::{Entry, is_main, is_test};

pub(crate) fn expand(entry: Entry, options: &Options, function: ItemFn) -> TokenStream {
    let ItemFn { attrs: mut attributes, vis, sig, block, .. } = function;
    for attribute in &mut attributes {
        // Those inside the body are the function's, too.
        attribute.style = AttrStyle::Outer;
    }
    if entry == Entry::Test {
        attributes.retain(|attribute| !is_test(attribute));
    }
    let test = (entry == Entry::Test).then(|| quote!(#[::core::prelude::v1::test]));
    let body = Body::new(&sig, &block);
    let content = match entry {
        Entry::Main => program(options, &sig, &body),
        Entry::Test => run_test(options, &body),
    };
    let item = body.item;
    let mut outer = sig.clone();
    outer.asyncness = None;
    if is_main(entry, &sig) {
        // Only the program's own has an exit status. Its arguments have been complained about.
        outer.inputs.clear();
        outer.output = syn::parse_quote!(-> ::std::process::ExitCode);
    }
    quote! {
        #test
        #(#attributes)*
        #vis #outer {
            #item
            #content
        }
    }
}

/// The user's body as a future.
struct Body {
    /// What is to stand before.
    item: TokenStream,
    future: TokenStream,
    /// The type of its value, as far as it can be written here.
    output: TokenStream,
}

impl Body {
    /// A function of its own if possible, since what rustc says about those is what people know. One with parameters would
    /// have to be called with the arguments that the patterns took apart, and inside another function `Self` is nobody.
    fn new(sig: &Signature, block: &Block) -> Self {
        let Signature { ident, output, .. } = sig;
        let is_plain = sig.to_token_stream().to_string() == quote!(async fn #ident() #output).to_string();
        if is_plain && !has("Self", quote!(#sig #block)) {
            let item = quote! {
                #[allow(clippy::unused_async)]
                #sig #block
            };
            return Self { item, future: quote!(#ident()), output: quote!(_) };
        }
        Self { item: TokenStream::new(), future: quote!(async move #block), output: written(output) }
    }
}

fn program(options: &Options, sig: &Signature, body: &Body) -> TokenStream {
    let Body { future, output, .. } = body;
    let (runtime, root) = (runtime(options), root(options));
    let is_main = is_main(Entry::Main, sig);
    if is_main && !sig.inputs.is_empty() {
        return quote!(::std::process::ExitCode::FAILURE);
    }
    // A type that is no exit status is complained about where it stands.
    let place = sig.output.to_token_stream().into_iter().last().map_or_else(Span::mixed_site, |last| last.span());
    let site = Span::mixed_site().located_at(place);
    let ended = quote_spanned!(site=> ::sc_tokio::__private::entry::program::<#output, _, _>(#runtime, #root, #future));
    if is_main {
        quote_spanned!(site=> ::std::process::Termination::report(#ended))
    } else {
        quote_spanned!(site=> ::sc_tokio::__private::entry::value(#ended))
    }
}

fn run_test(options: &Options, body: &Body) -> TokenStream {
    let Body { future, output, .. } = body;
    let runtime = runtime(options);
    let site = Span::mixed_site();
    let policy = if options.leaks_allowed { quote!(Allow) } else { quote!(Deny) };
    let policy = quote_spanned!(site=> ::sc_tokio::__private::entry::LeakPolicy::#policy);
    quote_spanned!(site=> ::sc_tokio::__private::entry::test::<#output, _, _>(#runtime, #policy, #future))
}

fn runtime(options: &Options) -> TokenStream {
    let Options { tokio, builder, .. } = options;
    let (new, build) = match options.flavor {
        Flavor::MultiThread => (quote!(new_multi_thread), quote!(build())),
        Flavor::CurrentThread => (quote!(new_current_thread), quote!(build())),
        Flavor::Local => (quote!(new_current_thread), quote!(build_local(::core::default::Default::default()))),
    };
    quote!(#tokio::runtime::Builder::#new().enable_all() #builder .#build)
}

fn root(options: &Options) -> TokenStream {
    let calls = &options.root;
    let root = match options.signals {
        // If it can.
        None => quote!(::sc_tokio::__private::entry::root()),
        Some((true, span)) => quote_spanned!(span=> ::sc_tokio::Root::new().signals()),
        Some((false, _)) => quote!(::sc_tokio::Root::new()),
    };
    quote!(#root #calls)
}

fn written(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) || has("impl", ty.to_token_stream()) => quote!(_),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    }
}

fn has(word: &str, tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => has(word, group.stream()),
        _ => false,
    })
}

//! What the compiler sees: a function that builds a runtime, and runs the user's body in a root on it.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{AttrStyle, ItemFn, ReturnType, Type};

use super::Entry;
use super::options::{Flavor, Options};

pub(crate) fn expand(entry: Entry, options: &Options, function: ItemFn) -> TokenStream {
    let ItemFn { attrs: mut attributes, vis, mut sig, block, .. } = function;
    sig.asyncness = None;
    for attribute in &mut attributes {
        // Those inside the body are the function's, too.
        attribute.style = AttrStyle::Outer;
    }
    let output = output(&sig.output);
    let runtime = runtime(options);
    let site = Span::mixed_site();
    let body = quote!(async move #block);
    let (attribute, content) = match entry {
        Entry::Main => {
            let root = root(options);
            let run = quote_spanned!(site=> ::sc_tokio::__private::entry::program);
            let ended = quote!(#run::<#output, _, _>(#runtime, #root, #body));
            let place = sig.output.to_token_stream().into_iter().last().map_or(site, |last| last.span());
            // Only the program's own has an exit status.
            let is_main = sig.ident == "main";
            if is_main {
                sig.output = syn::parse_quote!(-> ::std::process::ExitCode);
            }
            let site = site.located_at(place);
            let take = if is_main {
                quote_spanned!(site=> ::std::process::Termination::report)
            } else {
                quote_spanned!(site=> ::sc_tokio::__private::entry::value)
            };
            (None, quote!(#take(#ended)))
        }
        Entry::Test => {
            let leaks = if options.leaks_allowed { quote!(Allow) } else { quote!(Deny) };
            let leaks = quote_spanned!(site=> ::sc_tokio::__private::entry::Leaks::#leaks);
            let run = quote_spanned!(site=> ::sc_tokio::__private::entry::test);
            (Some(quote!(#[::core::prelude::v1::test])), quote!(#run::<#output, _, _>(#runtime, #leaks, #body)))
        }
    };
    quote! {
        #attribute
        #(#attributes)*
        #vis #sig {
            #content
        }
    }
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

/// The type of the body's value, as far as it can be written there.
fn output(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) || has_impl(ty.to_token_stream()) => quote!(_),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    }
}

fn has_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => has_impl(group.stream()),
        _ => false,
    })
}

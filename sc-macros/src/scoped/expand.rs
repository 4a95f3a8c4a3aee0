//! What the compiler sees: the function, whose body awaits a builder over the user's body. Nothing here is `move`, so
//! the arguments stay in the function and outlive the scope.

use super::function::{Function, Target};
use super::options::Options;
use super::output::Output;
use crate::errors::Errors;
use crate::handle::Handle;
use crate::scope::Scope;
use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;

pub(crate) fn expand(function: &Function, target: Target, options: &Options, errors: Errors) -> TokenStream {
    let name = &function.signature.ident;
    let content = match target {
        Target::Async(body, output) => scope(name, &body, &output, options, errors),
        Target::Boxed(boxed, output) => {
            let scope = scope(name, &boxed.body, &output, options, errors);
            boxed.with_body(scope)
        }
    };
    function.with_body(content)
}

fn scope(name: &Ident, body: &Group, output: &Output, options: &Options, errors: Errors) -> TokenStream {
    let (place, types) = types(output, name);
    let site = Span::mixed_site().located_at(place);
    let block = Scope {
        handle: options.handle.as_ref().unwrap_or(&Handle::nameless()),
        open: quote_spanned!(site=> ::sc_tokio::__private::open_scoped(&__witness)),
        witness: TokenStream::new(),
        output: None,
        drive: quote_spanned!(site=> ::sc_tokio::__private::drive_scoped),
        between: quote_spanned!(site=> __witness.shape(),),
        site,
        body,
        errors,
    }
    .expand();
    let nursery = nursery(name, options.named, &block);
    let setters = &options.setters;
    quote_spanned! {site=>
        let (__witness, __end) = #types;
        let __scope = #nursery #setters;
        ::sc_tokio::__private::settle(__end, __scope).await
    }
}

/// The call that tells what the return type stands for, and the place of everything that depends on it. rustc complains
/// about a type once per place: a type that no scope can return gives one message, at the user's own word.
fn types(output: &Output, name: &Ident) -> (Span, TokenStream) {
    let tokens = output.to_token_stream();
    let first = tokens.clone().into_iter().next().filter(|_| !output.is_unit());
    let place = first.map_or_else(|| name.span(), |first| first.span());
    let output = located_at(tokens, place);
    (place, quote_spanned!(place=> ::sc_tokio::__private::scoped::<#output>()))
}

fn located_at(tokens: TokenStream, place: Span) -> TokenStream {
    let relocated = tokens.into_iter().map(|mut token| {
        if let TokenTree::Group(group) = &mut token {
            *group = Group::new(group.delimiter(), located_at(group.stream(), place));
        }
        token.set_span(token.span().located_at(place));
        token
    });
    relocated.collect()
}

/// The call that notes where the scope was opened, which is at the function's name, and takes its name from there.
fn nursery(name: &Ident, named: bool, block: &Group) -> TokenStream {
    let (function, title) = if named {
        (quote_spanned!(name.span()=> nursery), None)
    } else {
        let title = Literal::string(&name.unraw().to_string());
        (quote_spanned!(name.span()=> nursery_named), Some(quote!(&#title,)))
    };
    let mut arguments = Group::new(Delimiter::Parenthesis, quote!(#title async #block));
    arguments.set_span(name.span());
    quote_spanned!(name.span()=> ::sc_tokio::__private::#function #arguments)
}

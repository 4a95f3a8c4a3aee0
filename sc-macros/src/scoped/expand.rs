//! What the compiler sees: the function, whose body awaits a builder over the user's body. Nothing here is `move`, so
//! the arguments stay in the function and outlive the scope.

use super::function::{Function, Target};
use super::options::Options;
use super::output::Output;
use crate::errors::Errors;
use crate::handle::Handle;
use crate::scope::Scope;
use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

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
    let handle = options.handle.as_ref();
    let block = Scope {
        handle: handle.unwrap_or(&Handle::nameless()),
        open: quote_spanned!(Span::mixed_site()=> __witness.open()),
        witness: TokenStream::new(),
        output: None,
        drive: quote_spanned!(Span::mixed_site()=> ::sc_tokio::__private::drive_scoped),
        body,
        errors,
    }
    .expand();
    let nursery = located_call(name, quote!(async #block));
    let named = (!options.named).then(|| {
        let name = Literal::string(&name.to_string());
        quote_spanned!(Span::mixed_site()=> .named(#name))
    });
    let setters = &options.setters;
    // Of its own accord the function says what is wrong with its error type where that type stands.
    let finish = match &options.mapper {
        None => quote_spanned!(Span::mixed_site().located_at(output.span())=> finish(__scope)),
        Some(mapper) => quote_spanned!(Span::mixed_site()=> finish_mapped(__scope, #mapper)),
    };
    quote_spanned! {Span::mixed_site()=>
        let (__witness, __end) = ::sc_tokio::__private::scoped::<#output>();
        let __scope = #nursery #named #setters;
        __end.#finish.await
    }
}

/// The call that notes where the scope was opened: at the function's name.
fn located_call(name: &Ident, argument: TokenStream) -> TokenStream {
    let mut arguments = Group::new(Delimiter::Parenthesis, argument);
    arguments.set_span(name.span());
    let function = quote_spanned!(name.span()=> ::sc_tokio::__private::nursery);
    quote!(#function #arguments)
}

//! What the compiler sees: a builder over an `async` block.

use super::parse::Nursery;
use crate::errors::Errors;
use crate::scope::Scope;
use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

pub(crate) fn expand(nursery: &Nursery, errors: Errors) -> TokenStream {
    let Nursery { policy, capture, handle, output, body } = nursery;
    let block = Scope {
        handle,
        open: quote_spanned!(Span::mixed_site()=> ::sc_tokio::__private::open()),
        witness: quote_spanned! {Span::mixed_site()=>
            let __witness = ::sc_tokio::__private::witness(__nursery);
        },
        output: output.as_ref(),
        drive: quote_spanned!(Span::mixed_site()=> ::sc_tokio::__private::drive),
        between: TokenStream::new(),
        site: Span::mixed_site(),
        body,
        errors,
    }
    .expand();
    let policy = policy.as_ref().map(|path| quote_spanned!(Span::mixed_site()=> .policy(#path)));
    quote_spanned! {Span::mixed_site()=>
        ::sc_tokio::__private::nursery(async #capture #block) #policy
    }
}

//! Mistakes found so far: a macro reports all of them in one compilation.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use std::fmt::Display;
use syn::Error;

/// Collects mistakes while parsing goes on.
#[derive(Debug, Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    /// Reports `message` at the tokens that the user has to change.
    pub(crate) fn at(&mut self, tokens: &impl ToTokens, message: impl Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    /// Reports `message` where there is no token to point at.
    pub(crate) fn at_span(&mut self, span: Span, message: impl Display) {
        self.push(Error::new(span, message));
    }

    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The mistakes as one expression.
    ///
    /// `compile_error!` at the end of the block gives it the error type, which rustc does not complain about again: a
    /// `.timeout(..)` or `.await` behind the macro adds no second message.
    pub(crate) fn into_expression(self) -> TokenStream {
        let errors = self.into_statements();
        quote_spanned! {Span::mixed_site()=> { #errors } }
    }

    /// The mistakes as statements, to stand at the beginning of a block.
    pub(crate) fn into_statements(self) -> TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }
}

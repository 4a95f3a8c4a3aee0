//! `|n|`: the name that the user gives to the scope.

use crate::errors::Errors;
use crate::reading::{Lost, take, take_until};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::parse::ParseStream;
use syn::parse::discouraged::Speculative;
use syn::{Token, Type};

/// `n`, `n: &Nursery<'_, E>` or `_`.
pub(crate) struct Handle {
    pub(crate) name: TokenTree,
    pub(crate) ty: Option<Type>,
}

/// What each macro says about a parameter list that is none.
pub(crate) struct Wording {
    pub(crate) missing: &'static str,
    pub(crate) not_a_name: &'static str,
    pub(crate) too_many: &'static str,
    pub(crate) not_a_type: &'static str,
}

impl Handle {
    /// Where the user gave no name.
    pub(crate) fn nameless() -> Self {
        Self { name: Ident::new("_", Span::call_site()).into(), ty: None }
    }

    /// The name, if it is one that the body is meant to use.
    pub(crate) fn usable(&self) -> Option<&TokenTree> {
        Some(&self.name).filter(|name| !name.to_string().starts_with('_'))
    }

    /// Reads `|n|`; a list that is none is reported, and reading goes on behind it.
    pub(crate) fn read(input: ParseStream, errors: &mut Errors, wording: &Wording) -> Result<Self, Lost> {
        if let Some(bars) = take::<Token![||]>(input) {
            errors.at(&bars, wording.missing);
            return Ok(Self::nameless());
        }
        let Some(open) = take::<Token![|]>(input) else {
            errors.at_span(input.span(), wording.missing);
            return Err(Lost);
        };
        let handle = Self::parameter(input, errors, wording);
        let extra = take_until(input, |rest| rest.peek(Token![|]));
        let Some(close) = take::<Token![|]>(input) else {
            errors.at(&open, wording.missing);
            return Err(Lost);
        };
        match &handle {
            Some(_) if extra.is_empty() => {}
            Some(_) => errors.at(&extra, wording.too_many),
            None if extra.is_empty() => errors.at(&quote!(#open #close), wording.missing),
            None => errors.at(&extra, wording.not_a_name),
        }
        Ok(handle.unwrap_or_else(|| Self::guess(extra)))
    }

    /// The name that a wrong parameter list meant, perhaps: the body uses it, and is to compile all the same.
    pub(crate) fn guess(parameters: TokenStream) -> Self {
        let name = |token| syn::parse2::<Ident>(TokenStream::from(token)).ok();
        let mut names = parameters.into_iter().filter_map(name);
        let variable = names.find(|name| name.to_string().starts_with(char::is_lowercase));
        variable.map_or_else(Self::nameless, |name| Self { name: name.into(), ty: None })
    }

    /// `n` or `n: Type`, up to the next parameter; of anything else nothing is taken.
    fn parameter(input: ParseStream, errors: &mut Errors, wording: &Wording) -> Option<Self> {
        let ahead = input.fork();
        let name = if ahead.peek(Token![_]) { ahead.parse().ok()? } else { ahead.parse::<Ident>().ok()?.into() };
        if !ahead.peek(Token![:]) && !ahead.peek(Token![,]) && !ahead.peek(Token![|]) {
            return None;
        }
        input.advance_to(&ahead);
        let ty = take::<Token![:]>(input).and_then(|_| read_type(input, errors, wording.not_a_type));
        take::<Token![,]>(input);
        Some(Self { name, ty })
    }
}

/// A type; what is none is reported and skipped, up to the end of the parameters.
pub(crate) fn read_type(input: ParseStream, errors: &mut Errors, message: &str) -> Option<Type> {
    let ahead = input.fork();
    let ty = ahead.parse();
    if ty.is_ok() {
        input.advance_to(&ahead);
    } else {
        errors.at_span(input.span(), message);
        take_until(input, |rest| rest.peek(Token![|]));
    }
    ty.ok()
}

//! `nursery!`: a block that is a scope.

mod expand;
mod parse;
#[cfg(test)]
mod tests;

use crate::detached::{self, Help};
use crate::errors::Errors;
use proc_macro2::TokenStream;

pub(crate) fn generate(input: TokenStream) -> TokenStream {
    match parse::parse(input) {
        Ok(nursery) => {
            let mut errors = Errors::default();
            detached::report(nursery.body.stream(), &Help { handle: &nursery.handle, switch: "" }, &mut errors);
            expand::expand(&nursery, errors)
        }
        Err(errors) => errors.into_expression(),
    }
}

//! `#[main]` and `#[test]`: a function that is a program, on a runtime of its own.
//!
//! Tokio's own attributes would do but for the end: they wait for blocking code without a bound, and their `main` has no
//! exit status to give but the body's. What they accept is accepted here, too.

mod expand;
mod options;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, ItemFn, Signature};

use crate::errors::Errors;
use options::Options;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Main,
    Test,
}

impl Entry {
    const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Test => "test",
        }
    }
}

pub(crate) fn generate(entry: Entry, arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(entry, arguments, &mut errors);
    let function = match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            errors.push(error);
            let errors = errors.into_statements();
            return quote!(#errors #item);
        }
    };
    let is_async = check(entry, &function, &mut errors);
    let function = if is_async { expand::expand(entry, &options, function) } else { item.clone() };
    let errors = errors.into_statements();
    quote!(#errors #function)
}

/// Whether it is the program's own `main`.
fn is_main(entry: Entry, signature: &Signature) -> bool {
    entry == Entry::Main && signature.ident == "main"
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("test")
}

/// Whether it can be expanded.
fn check(entry: Entry, function: &ItemFn, errors: &mut Errors) -> bool {
    let (name, signature) = (entry.name(), &function.sig);
    if signature.asyncness.is_none() {
        let message = format!("`#[sc_tokio::{name}]` opens a scope and needs an `async fn`: write `async` before `fn`");
        errors.at(&signature.fn_token, message);
        return false;
    }
    if is_main(entry, signature) && !signature.inputs.is_empty() {
        errors.at(&signature.inputs, "nobody calls `main` with arguments: remove them");
    }
    if entry == Entry::Test {
        for attribute in function.attrs.iter().filter(|attribute| is_test(attribute)) {
            errors.at(attribute, "`#[sc_tokio::test]` makes this a test already: remove this attribute");
        }
    }
    true
}

//! `#[scoped]`: a function that is a scope.

mod boxed;
mod expand;
mod function;
mod options;
mod output;
#[cfg(test)]
mod tests;

use crate::detached::{self, Help};
use crate::errors::Errors;
use crate::handle::Handle;
use function::{Function, Target};
use options::Options;
use proc_macro2::TokenStream;
use quote::quote;

pub(crate) fn generate(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(arguments, &mut errors);
    let Some(function) = Function::parse(item.clone(), &mut errors) else {
        let errors = errors.into_statements();
        return quote!(#item #errors);
    };
    let target = function.target(&mut errors);
    if target.as_ref().is_some_and(Target::is_infallible) {
        options.refuse_failures(&mut errors);
    }
    let well_formed = errors.is_empty();
    if let Some(body) = function.body.as_ref().filter(|_| !options.allow_spawn) {
        let handle = Handle::nameless();
        let help = Help { handle: options.handle.as_ref().unwrap_or(&handle), switch: SWITCH };
        detached::report(body.stream(), &help, &mut errors);
    }
    match target {
        Some(target) if well_formed => expand::expand(&function, target, &options, errors),
        _ => function.with_errors(options.handle.as_ref(), errors),
    }
}

const SWITCH: &str = "; `#[scoped(allow(tokio_spawn))]` allows it";

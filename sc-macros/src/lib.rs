//! The macros of `sc-tokio`, which re-exports them with their documentation; nothing here is used on its own.
//!
//! Each macro is a folder: `parse` reads what the user wrote, `expand` writes what the compiler sees. All of it works
//! on `proc_macro2`, so that tests run it as ordinary functions.

#![forbid(unsafe_code)]

#[cfg(test)]
mod arbitrary;
mod detached;
mod entry;
mod errors;
mod handle;
mod nearest;
mod nursery;
mod reading;
mod scope;
mod scoped;
#[cfg(test)]
mod testing;

use proc_macro::TokenStream;

/// Opens a scope for a block: child tasks started with `n` end before the block does. See `sc_tokio::nursery!`.
#[proc_macro]
pub fn nursery(input: TokenStream) -> TokenStream {
    nursery::generate(input.into()).into()
}

/// Makes an `async fn` a scope: nothing that it starts survives its return. See `sc_tokio::scoped`.
#[proc_macro_attribute]
pub fn scoped(arguments: TokenStream, item: TokenStream) -> TokenStream {
    scoped::generate(arguments.into(), &item.into()).into()
}

/// Runs an `async fn main` in a root scope, on a runtime of its own. See `sc_tokio::main`.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::generate(entry::Entry::Main, arguments.into(), &item.into()).into()
}

/// Runs an async test in a root scope, on a runtime of its own. See `sc_tokio::test`.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::generate(entry::Entry::Test, arguments.into(), &item.into()).into()
}

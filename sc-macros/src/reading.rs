//! Reading tokens one after the other, past mistakes.

use proc_macro2::{TokenStream, TokenTree};
use syn::Token;
use syn::parse::{Parse, ParseStream};

/// Reading cannot go on; the reason is among the errors.
pub(crate) struct Lost;

/// Takes the next token if it is a `T`.
pub(crate) fn take<T: syn::token::Token + Parse>(input: ParseStream) -> Option<T> {
    input.parse().ok().flatten()
}

/// Takes tokens until `end` is true of what follows.
pub(crate) fn take_until(input: ParseStream, end: impl Fn(ParseStream) -> bool) -> TokenStream {
    let mut taken = TokenStream::new();
    while !input.is_empty() && !end(input) {
        let Ok(next) = input.parse::<TokenTree>() else { break };
        taken.extend([next]);
    }
    taken
}

/// Takes the rest.
pub(crate) fn take_all(input: ParseStream) -> TokenStream {
    take_until(input, |_| false)
}

/// Whether the bars of a parameter list follow, empty or not.
pub(crate) fn bars_follow(input: ParseStream) -> bool {
    input.peek(Token![|]) || input.peek(Token![||])
}

//! What the tests of every macro need: an expansion as text, and the mistakes in it.

use proc_macro2::{TokenStream, TokenTree};
use std::str::FromStr;

/// Tokens whose spans know the text they came from.
pub(crate) fn tokens(source: &str) -> TokenStream {
    TokenStream::from_str(source).unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// An expansion in expression position, formatted.
pub(crate) fn format_expression(expansion: &TokenStream) -> String {
    let file = format_items(&quote::quote!(fn main() { #expansion }));
    let lines = file.lines().filter_map(|line| line.strip_prefix("    "));
    lines.collect::<Vec<_>>().join("\n")
}

/// An expansion in item position, formatted.
pub(crate) fn format_items(expansion: &TokenStream) -> String {
    let file = syn::parse2(expansion.clone()).unwrap_or_else(|error| panic!("{error}: {expansion}"));
    prettyplease::unparse(&file)
}

/// For each `compile_error!` the words it points at, and what it says.
pub(crate) fn mistakes(expansion: &TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    collect(expansion.clone(), &mut found);
    found
}

fn collect(tokens: TokenStream, found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "compile_error" => {
                let Some(TokenTree::Group(argument)) = tokens.nth(1) else { continue };
                let Some(message) = argument.stream().into_iter().next() else { continue };
                // `syn` gives the first of the marked tokens to the path, the last one to the message.
                let marked = ident.span().join(message.span()).and_then(|span| span.source_text());
                let marked = marked.filter(|text| !text.is_empty()).unwrap_or_else(|| "(the macro)".into());
                let message: syn::LitStr = syn::parse2(message.into()).expect("`compile_error!` holds a text");
                found.push(format!("{marked} => {}", message.value()));
            }
            TokenTree::Group(group) => collect(group.stream(), found),
            _ => {}
        }
    }
}

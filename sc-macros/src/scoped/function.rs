//! What the attribute stands on.

use super::boxed::BoxedBody;
use super::output::Output;
use crate::errors::Errors;
use crate::handle::Handle;
use crate::reading::take;
use crate::scope::braced;
use proc_macro2::{Group, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Signature, Token, Visibility};

const NOT_A_FUNCTION: &str = "`#[scoped]` makes a function a scope: put it on an `async fn`";
const NOT_ASYNC: &str = "a scope is awaited: make this an `async fn`, or, if an attribute above has rewritten one, \
                         put `#[scoped]` above that attribute";
const TAKEN_APART: &str = "`#[tokio::main]` or `#[tokio::test]` has rewritten this function before `#[scoped]` could \
                           see it: put `#[scoped]` above";
const CONST: &str = "a `const fn` cannot run a scope: make it an `async fn`";
const NO_BODY: &str = "a scope needs a body: put `#[scoped]` on the implementations of this method";

/// A function item. Its body is not looked into.
pub(crate) struct Function {
    /// Attributes and visibility.
    front: TokenStream,
    pub(crate) signature: Signature,
    /// `None` for a method that a trait only declares.
    pub(crate) body: Option<Group>,
}

/// The body that becomes a scope, and where it is found.
pub(crate) enum Target {
    /// In an `async fn`.
    Async(Group, Output),
    /// In what `#[async_trait]` has made of one.
    Boxed(BoxedBody, Output),
}

impl Target {
    /// Whether the function has no error to return.
    pub(crate) fn is_infallible(&self) -> bool {
        let (Self::Async(_, output) | Self::Boxed(_, output)) = self;
        output.is_unit()
    }
}

impl Function {
    /// Reads a function, or reports that the item is none.
    pub(crate) fn parse(item: TokenStream, errors: &mut Errors) -> Option<Self> {
        let mut word = None;
        let read = |input: ParseStream| {
            let front = front(input)?;
            word = input.fork().parse::<TokenTree>().ok();
            let signature = input.parse()?;
            let body = if take::<Token![;]>(input).is_some() { None } else { Some(input.parse()?) };
            Ok(Self { front, signature, body })
        };
        let function = read.parse2(item).ok();
        if function.is_none() {
            errors.at(&word, NOT_A_FUNCTION);
        }
        function
    }

    /// Finds the body, or reports why there is none that could be a scope.
    pub(crate) fn target(&self, errors: &mut Errors) -> Option<Target> {
        let Signature { constness, asyncness, fn_token, output, .. } = &self.signature;
        if let Some(constness) = constness {
            errors.at(constness, CONST);
        }
        let Some(body) = &self.body else {
            errors.at(&self.signature.ident, NO_BODY);
            return None;
        };
        if asyncness.is_some() {
            return Some(Target::Async(body.clone(), Output::read(output, errors)?));
        }
        if let Some(boxed) = BoxedBody::find(body) {
            return Some(Target::Boxed(boxed, Output::read_boxed(output, errors)?));
        }
        if constness.is_some() {
            return None;
        }
        errors.at(fn_token, if self.is_taken_apart() { TAKEN_APART } else { NOT_ASYNC });
        None
    }

    /// The function with another body.
    pub(crate) fn with_body(&self, content: TokenStream) -> TokenStream {
        let Self { front, signature, body } = self;
        let span = body.as_ref().map_or_else(|| signature.ident.span(), Group::span);
        let body = braced(content, span);
        quote!(#front #signature #body)
    }

    /// The function as the user wrote it, with mistakes instead of the scope: where it names the scope, the name
    /// stands for something of unknown type, so that there is no second message about it.
    pub(crate) fn with_errors(mut self, handle: Option<&Handle>, errors: Errors) -> TokenStream {
        let Some(body) = &self.body else {
            let Self { front, signature, .. } = self;
            let errors = errors.into_statements();
            return quote!(#front #signature; #errors);
        };
        let statements = match handle.and_then(Handle::usable) {
            Some(name) => {
                let errors = errors.into_expression();
                quote!(let #name = #errors;)
            }
            None => errors.into_statements(),
        };
        let content = body.stream();
        if contains(body, "await") && !self.is_taken_apart() {
            // The `async` that is missing has been reported; rustc would report every `.await`.
            self.signature.asyncness.get_or_insert_default();
        }
        self.with_body(quote!(#statements #content))
    }

    /// Whether the body is one that builds a runtime for what the user wrote.
    fn is_taken_apart(&self) -> bool {
        self.body.as_ref().is_some_and(|body| contains(body, "block_on") && contains(body, "enable_all"))
    }
}

/// Attributes and visibility.
fn front(input: ParseStream) -> syn::Result<TokenStream> {
    let attributes = input.call(Attribute::parse_outer)?;
    let visibility: Visibility = input.parse()?;
    Ok(quote!(#(#attributes)* #visibility))
}

fn contains(group: &Group, word: &str) -> bool {
    group.stream().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => contains(&group, word),
        _ => false,
    })
}

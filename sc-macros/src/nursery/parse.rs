//! What the user writes: `[<Policy>] async [move] |n [: &Nursery<'_, E>]| [-> Result<T, E>] { body }`.
//!
//! The header is understood, the body is not: it is handed on token by token, so that an editor can complete inside a
//! block that is only half typed.

use crate::errors::Errors;
use crate::handle::{Handle, Wording, read_type};
use crate::reading::{Lost, bars_follow, take, take_all, take_until};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Path, PathArguments, Token, Type, braced, token};

const NOT_ASYNC: &str = "a nursery takes an async closure: write `async |n| { .. }`";
const NOT_ASYNC_MOVE: &str = "a nursery takes an async closure: write `async move |n| { .. }`";
const PARAMETER: Wording = Wording {
    missing: "a nursery hands its block the scope: write `async |n| { .. }`",
    not_a_name: "the parameter of a nursery is a plain name: write `async |n| { .. }`",
    too_many: "a nursery hands its block one thing, the scope: write `async |n| { .. }`",
    not_a_type: "the parameter of a nursery is a reference to it: write `|n: &Nursery<'_, E>|`",
};
const OUTPUT: &str = "a nursery's block returns a `Result`: write `-> Result<T, E> { .. }`";
const ATTRIBUTE: &str = "a nursery takes no attributes: put them on the statement around `nursery!`";
const NO_BODY: &str = "a nursery needs a block: write `async |n| { .. }`";
const TYPED_BODY: &str = "behind a return type comes a block: write `async |n| -> Result<T, E> { .. }`";
const POLICY: &str = "the `<Policy>` header takes a path; hand over other policies with `nursery!(..).policy(..)`";
const CALL_INSIDE: &str = "settings follow the macro, not its block: write `nursery!(..).timeout(..)`";
const JUNK: &str = "a nursery ends with its block: remove this";

/// The parts of a nursery.
pub(crate) struct Nursery {
    pub(crate) policy: Option<Path>,
    pub(crate) capture: Option<Token![move]>,
    pub(crate) handle: Handle,
    pub(crate) output: Option<Type>,
    /// In braces, with the span of the user's own where there are some.
    pub(crate) body: Group,
}

/// Reads a nursery, or reports every mistake in it that does not follow from another one.
pub(crate) fn parse(input: TokenStream) -> Result<Nursery, Errors> {
    let mut errors = Errors::default();
    let read = |input: ParseStream| {
        let nursery = Reader { input, errors: &mut errors }.nursery();
        // What a mistake left unread is part of that mistake.
        take_all(input);
        Ok(nursery)
    };
    match (read.parse2(input), errors.is_empty()) {
        (Ok(Ok(nursery)), true) => return Ok(nursery),
        (Err(error), true) => errors.push(error),
        _ => {}
    }
    Err(errors)
}

struct Reader<'a, 'e> {
    input: ParseStream<'a>,
    errors: &'e mut Errors,
}

impl Reader<'_, '_> {
    fn nursery(&mut self) -> Result<Nursery, Lost> {
        self.attributes();
        let policy = self.policy();
        self.attributes();
        let capture = self.qualifiers()?;
        let handle = self.handle()?;
        let output = self.output()?;
        let body = self.body(output.is_some())?;
        self.end();
        Ok(Nursery { policy, capture, handle, output, body })
    }

    fn attributes(&mut self) {
        while let Some(pound) = take::<Token![#]>(self.input) {
            let mut attribute = pound.into_token_stream();
            attribute.extend(take::<Token![!]>(self.input).map(ToTokens::into_token_stream));
            if self.input.peek(token::Bracket) {
                attribute.extend(self.input.parse::<TokenTree>());
            }
            self.errors.at(&attribute, ATTRIBUTE);
        }
    }

    /// `<Policy>`; behind a header that is none, reading goes on at the closure.
    fn policy(&mut self) -> Option<Path> {
        if !self.input.peek(Token![<]) {
            return None;
        }
        let header = self.input.fork();
        if let Ok(path) = policy_path(&header) {
            self.input.advance_to(&header);
            return Some(path);
        }
        let closure = |rest: ParseStream| rest.peek(Token![async]) || rest.peek(Token![move]) || bars_follow(rest);
        let header = take_until(self.input, closure);
        self.errors.at(&header, POLICY);
        None
    }

    /// `async [move]`.
    fn qualifiers(&mut self) -> Result<Option<Token![move]>, Lost> {
        if take::<Token![async]>(self.input).is_some() {
            return Ok(take(self.input));
        }
        let capture = take::<Token![move]>(self.input);
        if let Some(capture) = capture {
            self.errors.at(&capture, NOT_ASYNC_MOVE);
            take::<Token![async]>(self.input);
        } else {
            self.errors.at_span(self.input.span(), NOT_ASYNC);
            if !bars_follow(self.input) {
                return Err(Lost);
            }
        }
        Ok(capture)
    }

    fn handle(&mut self) -> Result<Handle, Lost> {
        match Handle::read(self.input, self.errors, &PARAMETER) {
            Err(Lost) if self.input.peek(token::Brace) => Ok(Handle::nameless()),
            handle => handle,
        }
    }

    fn output(&mut self) -> Result<Option<Type>, Lost> {
        if take::<Token![->]>(self.input).is_none() {
            return Ok(None);
        }
        read_type(self.input, self.errors, OUTPUT).map(Some).ok_or(Lost)
    }

    /// The block, or, where no return type asks for one, any expression, as in Rust's closures.
    fn body(&mut self, typed: bool) -> Result<Group, Lost> {
        if let Ok((braces, content)) = self.input.call(block) {
            let mut body = Group::new(Delimiter::Brace, content);
            body.set_span(braces.span.join());
            return Ok(body);
        }
        if typed || self.input.is_empty() || self.input.peek(Token![,]) {
            self.errors.at_span(self.input.span(), if typed { TYPED_BODY } else { NO_BODY });
            return Err(Lost);
        }
        let ahead = self.input.fork();
        // What is no expression is half typed, perhaps: the compiler's own message about it is the better one.
        let whole = ahead.parse::<Expr>().is_err();
        let expression = take_until(self.input, |rest| !whole && rest.cursor() >= ahead.cursor());
        Ok(Group::new(Delimiter::Brace, expression))
    }

    fn end(&mut self) {
        take::<Token![,]>(self.input);
        let message = if self.input.peek(Token![.]) { CALL_INSIDE } else { JUNK };
        let junk = take_all(self.input);
        if !junk.is_empty() {
            self.errors.at(&junk, message);
        }
    }
}

fn block(input: ParseStream) -> syn::Result<(token::Brace, TokenStream)> {
    let content;
    let braces = braced!(content in input);
    Ok((braces, content.parse()?))
}

fn policy_path(input: ParseStream) -> syn::Result<Path> {
    input.parse::<Token![<]>()?;
    let mut path: Path = input.parse()?;
    input.parse::<Token![>]>()?;
    for segment in &mut path.segments {
        // The header reads like a type; the expansion uses it as a value.
        if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
            arguments.colon2_token.get_or_insert_default();
        }
    }
    Ok(path)
}

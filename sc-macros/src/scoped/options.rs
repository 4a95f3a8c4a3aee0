//! What the user writes in the parentheses: `|n|, option = value, allow(tokio_spawn)`.

use crate::errors::Errors;
use crate::handle::{Handle, Wording};
use crate::nearest::nearest;
use crate::reading::{Lost, bars_follow, take, take_all, take_until};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Token, parenthesized};

/// Every option there is.
pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec { name: "policy", example: "policy = Supervise", fails: false, form: Form::Setter("policy") },
    OptionSpec {
        name: "timeout",
        example: "timeout = Duration::from_secs(2)",
        fails: true,
        form: Form::Setter("timeout"),
    },
    OptionSpec { name: "deadline", example: "deadline = instant", fails: true, form: Form::Setter("deadline") },
    OptionSpec { name: "grace", example: "grace = Duration::from_secs(1)", fails: false, form: Form::Setter("grace") },
    OptionSpec { name: "limit", example: "limit = 8", fails: false, form: Form::Setter("limit") },
    OptionSpec { name: "name", example: "name = \"page\"", fails: false, form: Form::Setter("named") },
    OptionSpec {
        name: "map_cancelled",
        example: "map_cancelled = AppError::Stopped",
        fails: true,
        form: Form::Setter("map_cancelled"),
    },
    OptionSpec { name: "allow", example: "allow(tokio_spawn)", fails: false, form: Form::Allow },
];

const PARAMETER: Wording = Wording {
    missing: "the scope gets a name between bars: write `#[scoped(|n|)]`",
    not_a_name: "the name of the scope is a plain name: write `#[scoped(|n|)]`",
    too_many: "`#[scoped]` names one thing, the scope: write `#[scoped(|n|)]`",
    not_a_type: "the scope is handed over by reference: write `#[scoped(|n: &Nursery<'_, E>|)]`",
};

/// One line of the table.
pub(crate) struct OptionSpec {
    pub(crate) name: &'static str,
    pub(crate) example: &'static str,
    /// Whether it has to do with failures, which a function without a `Result` cannot return.
    pub(crate) fails: bool,
    form: Form,
}

/// What becomes of an option's value.
#[derive(Clone, Copy)]
enum Form {
    /// The builder's method of this name takes it.
    Setter(&'static str),
    /// It is a list of words.
    Allow,
}

/// The options of one function.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) handle: Option<Handle>,
    /// Calls of the builder's methods, in the user's order.
    pub(crate) setters: TokenStream,
    pub(crate) named: bool,
    pub(crate) allow_spawn: bool,
    /// Every option that was given, known ones only.
    pub(crate) given: Vec<(Ident, &'static OptionSpec)>,
}

impl Options {
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let read = |input: ParseStream| {
            while !input.is_empty() {
                options.item(input, errors);
                let extra = take_until(input, |rest| rest.peek(Token![,]));
                if let Some(extra) = extra.into_iter().next() {
                    errors.at(&extra, "expected `,` between the options of `#[scoped]`");
                }
                take::<Token![,]>(input);
            }
            Ok(())
        };
        if let Err(error) = read.parse2(tokens) {
            errors.push(error);
        }
        options
    }

    /// Reports the options that a function without a `Result` has no use for.
    pub(crate) fn refuse_failures(&self, errors: &mut Errors) {
        for (name, _) in self.given.iter().filter(|(_, spec)| spec.fails) {
            errors.at(name, format!("`{name}` needs an error to return: let this function return `Result<T, E>`"));
        }
    }

    fn item(&mut self, input: ParseStream, errors: &mut Errors) {
        if bars_follow(input) {
            return self.handle(input, errors);
        }
        let Ok(name) = input.call(Ident::parse_any) else {
            let span = input.span();
            skip(input);
            return errors.at_span(span, "an option of `#[scoped]` has a name: write `name = value`");
        };
        let Some(spec) = OPTIONS.iter().find(|spec| name == spec.name) else {
            return self.unknown(input, &name, errors);
        };
        if self.given.iter().any(|(_, given)| given.name == spec.name) {
            skip(input);
            return errors.at(&name, format!("`{name}` is given twice: remove one"));
        }
        self.given.push((name.clone(), spec));
        match spec.form {
            Form::Allow => self.allow(input, &name, spec, errors),
            Form::Setter(method) => {
                let Some(value) = value(input, &name, spec, errors) else { return };
                let method = Ident::new(method, name.span());
                self.setters.extend(quote!(.#method(#value)));
                self.named |= method == "named";
            }
        }
    }

    fn unknown(&mut self, input: ParseStream, name: &Ident, errors: &mut Errors) {
        let names = OPTIONS.iter().map(|spec| spec.name);
        let known = names.clone().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let near = nearest(&name.to_string(), names);
        let hint = if let Some(near) = near {
            format!(": did you mean `{near}`?")
        } else if self.handle.is_none() && skip(&input.fork()).is_empty() {
            // The body will use it.
            self.handle = Some(Handle { name: name.clone().into(), ty: None });
            ": the name of the scope stands between bars, `|n|`.".to_owned()
        } else {
            ".".to_owned()
        };
        skip(input);
        errors.at(name, format!("`#[scoped]` has no option `{name}`{hint} The options are {known}"));
    }

    fn handle(&mut self, input: ParseStream, errors: &mut Errors) {
        let start = input.fork();
        let handle = Handle::read(input, errors, &PARAMETER).unwrap_or_else(|Lost| {
            take_all(input);
            Handle::guess(take_all(&start.fork()))
        });
        if self.handle.is_some() {
            let again = take_until(&start, |rest| rest.cursor() >= input.cursor());
            errors.at(&again, "the scope has a name already: remove one");
        }
        self.handle.get_or_insert(handle);
    }

    fn allow(&mut self, input: ParseStream, name: &Ident, spec: &OptionSpec, errors: &mut Errors) {
        let Ok(words) = input.call(words) else {
            let rest = skip(input);
            return errors.at(&quote!(#name #rest), format!("`{name}` takes a list: write `{}`", spec.example));
        };
        if words.is_empty() {
            errors.at(name, format!("`{name}` allows nothing here: write `{}`", spec.example));
        }
        for word in &words {
            let name = word.to_string().replace(' ', "");
            if name == "tokio_spawn" {
                self.allow_spawn = true;
            } else {
                errors.at(word, format!("`{name}` is not a check of `#[scoped]`: the only one is `tokio_spawn`"));
            }
        }
    }
}

/// `= value`; what is none is reported and skipped.
fn value(input: ParseStream, name: &Ident, spec: &OptionSpec, errors: &mut Errors) -> Option<TokenStream> {
    let ahead = input.fork();
    let value = take::<Token![=]>(&ahead).and_then(|_| ahead.parse::<Expr>().ok());
    if let Some(value) = value {
        input.advance_to(&ahead);
        return Some(value.into_token_stream());
    }
    let rest = skip(input);
    errors.at(&quote!(#name #rest), format!("`{name}` takes an expression: write `{}`", spec.example));
    None
}

fn words(input: ParseStream) -> syn::Result<Vec<TokenStream>> {
    let content;
    parenthesized!(content in input);
    let mut words = Vec::new();
    while !content.is_empty() {
        words.push(take_until(&content, |rest| rest.peek(Token![,])));
        take::<Token![,]>(&content);
    }
    Ok(words)
}

/// Takes the rest of an option.
fn skip(input: ParseStream) -> TokenStream {
    take_until(input, |rest| rest.peek(Token![,]))
}

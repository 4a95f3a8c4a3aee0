//! What the user writes in the parentheses: options of the runtime, as for Tokio's attributes, and of the root.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Expr, Lit, Path, Token};

use super::Entry;
use crate::errors::Errors;
use crate::nearest::nearest;
use crate::reading::{take, take_until};

/// Every option there is.
pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec { name: "flavor", example: "flavor = \"current_thread\"", of: None, form: Form::Flavor },
    OptionSpec { name: "worker_threads", example: "worker_threads = 2", of: None, form: Form::Threads },
    OptionSpec { name: "start_paused", example: "start_paused = true", of: None, form: Form::Paused },
    OptionSpec {
        name: "unhandled_panic",
        example: "unhandled_panic = \"ignore\"",
        of: None,
        form: Form::UnhandledPanic,
    },
    OptionSpec { name: "name", example: "name = \"service\"", of: None, form: Form::Name },
    OptionSpec { name: "crate", example: "crate = \"tokio\"", of: None, form: Form::Crate },
    OptionSpec {
        name: "drain",
        example: "drain = Duration::from_secs(20)",
        of: Some(Entry::Main),
        form: Form::Root("drain"),
    },
    OptionSpec {
        name: "pre_drain",
        example: "pre_drain = Duration::from_secs(5)",
        of: Some(Entry::Main),
        form: Form::Root("pre_drain"),
    },
    OptionSpec {
        name: "abandon_after",
        example: "abandon_after = Duration::from_secs(5)",
        of: Some(Entry::Main),
        form: Form::Root("abandon_after"),
    },
    OptionSpec { name: "signals", example: "signals = false", of: Some(Entry::Main), form: Form::Signals },
    OptionSpec { name: "leaks", example: "leaks = \"allow\"", of: Some(Entry::Test), form: Form::Leaks },
];

/// One line of the table.
pub(crate) struct OptionSpec {
    pub(crate) name: &'static str,
    pub(crate) example: &'static str,
    /// The attribute that has it, if only one does.
    pub(crate) of: Option<Entry>,
    form: Form,
}

/// What becomes of an option's value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Flavor,
    Threads,
    Paused,
    UnhandledPanic,
    Name,
    Crate,
    /// The root's method of this name takes it.
    Root(&'static str),
    Signals,
    Leaks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    MultiThread,
    CurrentThread,
    Local,
}

/// The options of one function.
pub(crate) struct Options {
    entry: Entry,
    pub(crate) flavor: Flavor,
    /// Calls of the methods of Tokio's builder.
    pub(crate) builder: TokenStream,
    /// Calls of the root's methods.
    pub(crate) root: TokenStream,
    /// Whether to listen for signals, if that was said.
    pub(crate) signals: Option<(bool, Span)>,
    pub(crate) leaks_allowed: bool,
    /// Where Tokio is.
    pub(crate) tokio: TokenStream,
    given: Vec<(Ident, &'static OptionSpec)>,
}

impl Options {
    pub(crate) fn parse(entry: Entry, tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self {
            entry,
            flavor: if entry == Entry::Main { Flavor::MultiThread } else { Flavor::CurrentThread },
            builder: TokenStream::new(),
            root: TokenStream::new(),
            signals: None,
            leaks_allowed: false,
            tokio: quote!(::tokio),
            given: Vec::new(),
        };
        let read = |input: ParseStream| {
            while !input.is_empty() {
                options.item(input, errors);
                let extra = take_until(input, |rest| rest.peek(Token![,]));
                if let Some(extra) = extra.into_iter().next() {
                    errors.at(&extra, format!("expected `,` between the options of `{}`", attribute(entry)));
                }
                take::<Token![,]>(input);
            }
            Ok(())
        };
        if let Err(error) = read.parse2(tokens) {
            errors.push(error);
        }
        options.refuse_other_flavor(errors);
        options
    }

    fn item(&mut self, input: ParseStream, errors: &mut Errors) {
        let Ok(name) = input.call(Ident::parse_any) else {
            let span = input.span();
            skip(input);
            return errors
                .at_span(span, format!("an option of `{}` has a name: write `name = value`", attribute(self.entry)));
        };
        let Some(spec) = OPTIONS.iter().find(|spec| name == spec.name) else {
            skip(input);
            return self.unknown(&name, errors);
        };
        if let Some(of) = spec.of.filter(|of| *of != self.entry) {
            skip(input);
            let (this, other) = (attribute(self.entry), attribute(of));
            return errors.at(&name, format!("`{name}` is an option of `{other}`, and none of `{this}`: remove it"));
        }
        if self.given.iter().any(|(_, given)| given.name == spec.name) {
            skip(input);
            return errors.at(&name, format!("`{name}` is given twice: remove one"));
        }
        self.given.push((name.clone(), spec));
        let ahead = input.fork();
        let value = take::<Token![=]>(&ahead).and_then(|_| ahead.parse::<Expr>().ok());
        let Some(value) = value else {
            let rest = skip(input);
            return errors.at(&quote!(#name #rest), format!("`{name}` takes a value: write `{}`", spec.example));
        };
        input.advance_to(&ahead);
        if let Err(wanted) = self.take(spec.form, &value) {
            errors.at(&value, format!("`{name}` takes {wanted}: write `{}`", spec.example));
        }
    }

    fn unknown(&self, name: &Ident, errors: &mut Errors) {
        let names = OPTIONS.iter().filter(|spec| spec.of.is_none_or(|of| of == self.entry)).map(|spec| spec.name);
        let known = names.clone().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let hint = match nearest(&name.to_string(), names) {
            Some(near) => format!(": did you mean `{near}`?"),
            None => ".".to_owned(),
        };
        let attribute = attribute(self.entry);
        errors.at(name, format!("`{attribute}` has no option `{name}`{hint} The options are {known}"));
    }

    /// # Errors
    ///
    /// What the option takes, if it is not this.
    fn take(&mut self, form: Form, value: &Expr) -> Result<(), &'static str> {
        let span = value.span();
        let tokio = &self.tokio;
        match form {
            Form::Flavor => {
                self.flavor = match text(value).as_deref() {
                    Some("multi_thread") => Flavor::MultiThread,
                    Some("current_thread") => Flavor::CurrentThread,
                    Some("local") => Flavor::Local,
                    _ => return Err("`\"multi_thread\"`, `\"current_thread\"` or `\"local\"`"),
                };
            }
            Form::Threads => {
                let threads = number(value).filter(|threads| *threads > 0).ok_or("a number of threads, at least 1")?;
                self.builder.extend(quote_spanned!(span=> .worker_threads(#threads)));
            }
            Form::Paused => {
                let paused = truth(value).ok_or("`true` or `false`")?;
                self.builder.extend(quote_spanned!(span=> .start_paused(#paused)));
            }
            Form::UnhandledPanic => {
                let variant = match text(value).as_deref() {
                    Some("ignore") => quote!(Ignore),
                    Some("shutdown_runtime") => quote!(ShutdownRuntime),
                    _ => return Err("`\"ignore\"` or `\"shutdown_runtime\"`"),
                };
                let variant = quote_spanned!(span=> #tokio::runtime::UnhandledPanic::#variant);
                self.builder.extend(quote_spanned!(span=> .unhandled_panic(#variant)));
            }
            Form::Name => {
                let name = text(value).filter(|name| !name.trim().is_empty()).ok_or("the runtime's name, as a text")?;
                self.builder.extend(quote_spanned!(span=> .name(#name)));
            }
            Form::Crate => {
                let path = text(value).and_then(|path| syn::parse_str::<Path>(&path).ok());
                self.tokio = path.ok_or("the path of the crate `tokio`, as a text")?.into_token_stream();
            }
            Form::Root(method) => {
                let method = Ident::new(method, span);
                self.root.extend(quote!(.#method(#value)));
            }
            Form::Signals => self.signals = Some((truth(value).ok_or("`true` or `false`")?, span)),
            Form::Leaks => {
                self.leaks_allowed = match text(value).as_deref() {
                    Some("allow") => true,
                    Some("deny") => false,
                    _ => return Err("`\"allow\"` or `\"deny\"`"),
                };
            }
        }
        Ok(())
    }

    /// Some of Tokio's options are those of one flavour.
    fn refuse_other_flavor(&self, errors: &mut Errors) {
        let is_multi = self.flavor == Flavor::MultiThread;
        for (name, spec) in &self.given {
            let needed = match spec.form {
                Form::Threads if !is_multi => "multi_thread",
                Form::Paused | Form::UnhandledPanic if is_multi => "current_thread",
                _ => continue,
            };
            errors.at(name, format!("`{name}` needs another runtime: `flavor = \"{needed}\"`"));
        }
    }
}

fn attribute(entry: Entry) -> String {
    format!("#[sc_tokio::{}]", entry.name())
}

/// Takes the rest of an option.
fn skip(input: ParseStream) -> TokenStream {
    take_until(input, |rest| rest.peek(Token![,]))
}

/// The literal that this is, also inside a macro's own brackets.
fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(literal) => Some(&literal.lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

fn text(value: &Expr) -> Option<String> {
    if let Some(Lit::Str(text)) = literal(value) { Some(text.value()) } else { None }
}

fn truth(value: &Expr) -> Option<bool> {
    if let Some(Lit::Bool(truth)) = literal(value) { Some(truth.value) } else { None }
}

fn number(value: &Expr) -> Option<usize> {
    if let Some(Lit::Int(number)) = literal(value) { number.base10_parse().ok() } else { None }
}

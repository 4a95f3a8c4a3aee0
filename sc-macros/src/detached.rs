//! Finds spawns that no scope owns. It teaches and does not guard: an alias escapes it, and so does another crate.

use crate::errors::Errors;
use crate::handle::Handle;
use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// Functions that start something that outlives the scope. A path counts that is one of these, or the last two or
/// more segments of one: `task::spawn`, but neither `spawn` alone nor `crate::task::spawn`.
const DETACHED: &[&[&str]] = &[
    &["tokio", "spawn"],
    &["tokio", "task", "spawn"],
    &["tokio", "task", "spawn_local"],
    &["tokio", "task", "spawn_blocking"],
    &["tokio", "runtime", "Handle", "spawn"],
    &["tokio", "runtime", "Handle", "spawn_blocking"],
    &["std", "thread", "spawn"],
];

/// Functions that return something with spawning methods.
const HANDLES: &[&[&str]] =
    &[&["tokio", "runtime", "Handle", "current"], &["tokio", "runtime", "Handle", "try_current"]];

/// What to propose instead.
pub(crate) struct Help<'a> {
    pub(crate) handle: &'a Handle,
    /// How to switch the check off, where that is possible.
    pub(crate) switch: &'static str,
}

/// Reports every spawn in `tokens` that no scope owns, in the arguments of macro calls too.
pub(crate) fn report(tokens: TokenStream, help: &Help, errors: &mut Errors) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = tokens.as_slice();
    while let Some((token, behind)) = rest.split_first() {
        let Some(path) = Path::read(rest) else {
            if let TokenTree::Group(group) = token {
                report(group.stream(), help, errors);
            }
            rest = behind;
            continue;
        };
        if let Some(spawn) = path.spawn() {
            errors.at(&spawn.words.iter().cloned().collect::<TokenStream>(), help.message(&spawn));
        }
        // What stands between the words is looked into as well.
        rest = if path.ends_in("nursery") { behind_macro_call(path.behind) } else { path.behind };
    }
}

/// `segment::segment`, up to arguments of any kind.
struct Path<'a> {
    segments: Vec<&'a Ident>,
    rooted: bool,
    /// The tokens of the path and all behind it.
    tokens: &'a [TokenTree],
    behind: &'a [TokenTree],
}

struct Spawn<'a> {
    words: &'a [TokenTree],
    name: String,
    function: String,
}

impl<'a> Path<'a> {
    fn read(tokens: &'a [TokenTree]) -> Option<Self> {
        let unrooted = behind_colons(tokens);
        let mut path = Self { segments: Vec::new(), rooted: unrooted.is_some(), tokens, behind: tokens };
        let mut next = unrooted.or(Some(tokens));
        while let Some([TokenTree::Ident(segment), behind @ ..]) = next {
            path.segments.push(segment);
            path.behind = behind;
            next = behind_colons(behind);
        }
        (!path.segments.is_empty()).then_some(path)
    }

    /// The call that starts something, if this path begins one.
    fn spawn(&self) -> Option<Spawn<'a>> {
        let name = self.segments.iter().map(ToString::to_string).collect::<Vec<_>>().join("::");
        if self.is_among(DETACHED) {
            let function = self.segments.last()?.to_string();
            return Some(Spawn { words: self.until(self.behind), name, function });
        }
        let (function, behind) = spawning_method(self.behind).filter(|_| self.is_among(HANDLES))?;
        Some(Spawn { words: self.until(behind), name: format!("{name}().{function}"), function })
    }

    fn is_among(&self, functions: &[&[&str]]) -> bool {
        functions.iter().any(|function| {
            let count = self.segments.len();
            let whole = count == function.len();
            let enough = whole || (count >= 2 && !self.rooted && count < function.len());
            enough && self.segments.iter().rev().zip(function.iter().rev()).all(|(one, other)| *one == other)
        })
    }

    fn ends_in(&self, name: &str) -> bool {
        self.segments.last().is_some_and(|last| *last == name)
    }

    fn until(&self, behind: &[TokenTree]) -> &'a [TokenTree] {
        &self.tokens[..self.tokens.len() - behind.len()]
    }
}

impl Help<'_> {
    fn message(&self, Spawn { name, function, .. }: &Spawn) -> String {
        let thread = name.contains("thread");
        let what = if thread { "thread" } else { "task" };
        let function = if thread { "spawn_blocking" } else { function };
        let switch = self.switch;
        let own = match self.handle.usable() {
            Some(name) if function != "spawn_local" => format!("`{name}.{function}(..)` or "),
            _ => String::new(),
        };
        format!("`{name}` starts a {what} that no scope owns: use {own}`sc_tokio::{function}(..)`{switch}")
    }
}

/// `(..)` and, perhaps behind an `unwrap` or `?`, `.spawn`.
fn spawning_method(behind: &[TokenTree]) -> Option<(String, &[TokenTree])> {
    let mut rest = behind_arguments(behind)?;
    loop {
        rest = match rest {
            [TokenTree::Punct(question), rest @ ..] if question.as_char() == '?' => rest,
            [TokenTree::Punct(dot), TokenTree::Ident(method), rest @ ..] if dot.as_char() == '.' => {
                if method == "spawn" || method == "spawn_blocking" {
                    return Some((method.to_string(), rest));
                }
                behind_arguments(rest)?
            }
            _ => return None,
        }
    }
}

fn behind_arguments(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    match tokens {
        [TokenTree::Group(group), rest @ ..] if group.delimiter() == Delimiter::Parenthesis => Some(rest),
        _ => None,
    }
}

fn behind_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    match tokens {
        [TokenTree::Punct(one), TokenTree::Punct(two), rest @ ..] if one.as_char() == ':' && two.as_char() == ':' => {
            Some(rest)
        }
        _ => None,
    }
}

/// A nursery inside another looks after its own body.
fn behind_macro_call(tokens: &[TokenTree]) -> &[TokenTree] {
    match tokens {
        [TokenTree::Punct(bang), TokenTree::Group(_), rest @ ..] if bang.as_char() == '!' => rest,
        _ => tokens,
    }
}

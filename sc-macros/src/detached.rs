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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{mistakes, tokens};

    /// What is found in a body that calls its scope `n`.
    fn found(body: &str) -> Vec<String> {
        found_under("n", body)
    }

    fn found_under(name: &str, body: &str) -> Vec<String> {
        let mut errors = Errors::default();
        let handle = Handle { name: tokens(name).into_iter().next().unwrap(), ty: None };
        report(tokens(body), &Help { handle: &handle, switch: "" }, &mut errors);
        mistakes(&errors.into_statements())
    }

    #[test]
    fn every_function_by_every_name() {
        for function in DETACHED {
            let longest = function.len() - 2;
            let names =
                (0..=longest).map(|skip| function[skip..].join("::")).chain([format!("::{}", function.join("::"))]);
            for name in names {
                let found = found(&format!("let a = {name}(async {{ 1 }}).await;"));
                assert_eq!(found.len(), 1, "{name}: {found:?}");
                assert!(found[0].starts_with(&format!("{name} => ")), "{found:?}");
            }
        }
    }

    #[test]
    fn through_a_runtime_handle() {
        for call in [
            "Handle::current().spawn",
            "tokio::runtime::Handle::current().spawn_blocking",
            "runtime::Handle::try_current().unwrap().spawn",
            "Handle::try_current()?.clone().spawn",
        ] {
            let found = found(&format!("{call}(work())"));
            assert_eq!(found.len(), 1, "{call}: {found:?}");
            assert!(found[0].starts_with(&format!("{call} => ")), "{found:?}");
        }
    }

    #[test]
    fn the_replacement_is_named() {
        assert_eq!(
            found("tokio::spawn(f())"),
            [
                "tokio::spawn => `tokio::spawn` starts a task that no scope owns: use `n.spawn(..)` or `sc_tokio::spawn(..)`"
            ]
        );
        assert_eq!(
            found("thread::spawn(f)"),
            ["thread::spawn => `thread::spawn` starts a thread that no scope owns: use `n.spawn_blocking(..)` or \
              `sc_tokio::spawn_blocking(..)`"]
        );
        assert!(found("task::spawn_local(f())")[0].ends_with("use `sc_tokio::spawn_local(..)`"));
        assert!(found_under("scope", "tokio::spawn(f())")[0].contains("use `scope.spawn(..)` or"));
        assert!(found_under("_", "tokio::spawn(f())")[0].ends_with("use `sc_tokio::spawn(..)`"));
    }

    #[test]
    fn wherever_it_stands() {
        for body in [
            "vec![tokio::spawn(f())]",
            "futures.map(tokio::spawn)",
            "if x { loop { (tokio::spawn::<F>)(f()) } }",
            "n.spawn(async { select! { a = tokio::spawn(f()) => {} } })",
            "use tokio::spawn;",
        ] {
            assert_eq!(found(body).len(), 1, "{body}");
        }
        assert_eq!(found("Handle::current().spawn(tokio::spawn(f()))").len(), 2);
    }

    #[test]
    fn others_of_that_name_are_left_alone() {
        for body in [
            "n.spawn(f()); sc_tokio::spawn(f()); spawn(f()); pool.task.spawn(f())",
            "crate::task::spawn(f()); self::Handle::spawn(f()); ::task::spawn(f()); my::tokio::spawn(f())",
            "tokio::task::yield_now(); task::spawned(f()); tokio::spawn_later(f())",
            "Handle::current().block_on(f()); Handle::current().runtime_flavor(); handle.spawn(f())",
            "\"tokio::spawn\"; tokio: spawn; tokio . spawn",
            "nursery!(async |m| { tokio::spawn(f()) }); sc_tokio::nursery! { tokio::spawn(f()) }",
        ] {
            assert_eq!(found(body), Vec::<String>::new(), "{body}");
        }
    }
}

//! Who is late when a program ends: names, places, ages.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use sc_core::{Member, ShownName};

use crate::node::Node;

/// How many are listed.
const LISTED: usize = 64;
/// How long a path may be to get yet another part.
const PATH_SHOWN: usize = 400;

/// One who had not ended when a program's time was over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Who: name and spawn place, as far as they are known.
    pub member: Member,
    /// The scopes around it, from the root on: `root > sessions > scope 7 (src/session.rs:12:5)`.
    pub path: String,
    /// How long ago it was first seen waiting, which is soon after it was spawned; to the millisecond. `None` for one that was
    /// never polled, and for the main future.
    pub age: Option<Duration>,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.member == Member::body() && self.path == ROOT {
            return f.write_str("the main function");
        }
        write!(f, "{} in {}", self.member, self.path)?;
        match self.age {
            Some(age) => write!(f, ", {age:?} old"),
            None => Ok(()),
        }
    }
}

/// The path of what is the root's own.
const ROOT: &str = "root";

/// Everybody who is alive below this root, and its main future.
pub(super) fn alive(root: &Arc<Node>) -> Vec<Unfinished> {
    let mut found = Vec::new();
    let mut next = vec![(Arc::clone(root), ROOT.to_owned())];
    while let Some((node, path)) = next.pop() {
        if found.len() >= LISTED {
            break;
        }
        let living = node.living_children();
        let books = node.books();
        let most = LISTED.saturating_sub(found.len());
        let here = books.present.members_and_ages(most);
        // Of those who were never polled, only ambient tasks have told where they come from.
        let nameless = living.min(most).saturating_sub(here.len());
        let mut unseen = books.ambient.places();
        for (member, _) in &here {
            if let Some(seen) = unseen.iter().position(|place| Some(*place) == member.place()) {
                unseen.swap_remove(seen);
            }
        }
        found.extend(here.into_iter().map(|(member, age)| Unfinished { member, path: path.clone(), age }));
        found.extend((0..nameless).map(|n| {
            let child = Member::some_child();
            let member = if let Some(place) = unseen.get(n) { child.at(place) } else { child };
            Unfinished { member, path: path.clone(), age: None }
        }));
        if books.running.is_some() || !books.finalizers.is_empty() && books.released {
            found.push(Unfinished { member: Member::finalizer(), path: path.clone(), age: None });
        }
        // The way down a tower of scopes is not told at each of its levels.
        let above = if path.len() > PATH_SHOWN { "root > .." } else { &path };
        let below = books.nested.iter().map(|below| &below.node);
        next.extend(below.map(|below| (Arc::clone(below), format!("{above} > {}", named(below)))));
    }
    if root.books().driver_hold.is_some() {
        found.push(Unfinished { member: Member::body(), path: ROOT.to_owned(), age: None });
    }
    found
}

fn named(node: &Node) -> String {
    match node.origin().name().filter(|name| !name.is_empty()) {
        Some(name) => ShownName(name).to_string(),
        None => format!("scope {} ({})", node.id(), node.origin().place()),
    }
}

/// The last words of a program: on standard error, whether or not anybody subscribes to events, since whoever
/// does may have lost its writer with the main future; and as an event.
pub(super) fn tell(why: fmt::Arguments<'_>, who: &[Unfinished]) {
    let mut text = format!("sc_tokio: {why}:\n");
    for one in who {
        text.push_str("  ");
        text.push_str(&one.to_string());
        text.push('\n');
    }
    // Standard error may be closed, and a subscriber may panic.
    quietly(|| eprint!("{text}"));
    #[cfg(feature = "tracing")]
    quietly(|| {
        let who: Vec<_> = who.iter().map(ToString::to_string).collect();
        tracing::error!(target: "sc_tokio", "{why}: {}", who.join(", "));
    });
}

fn quietly(say: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(say)) {
        crate::wake::discard(payload);
    }
}

//! A picture of what lives.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use sc_core::{Cancelled, Member, OneLine, Phase, ScopeId, ShownName};

use crate::node::Node;
use crate::root::{self, Detached};

/// One scope of a [`Tree`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TreeNode {
    /// The scope's number.
    pub id: ScopeId,
    /// Its name.
    pub name: Option<String>,
    /// Where it was opened.
    pub place: &'static Location<'static>,
    /// How many scopes there are above it.
    pub depth: usize,
    /// Where it is in its life.
    pub phase: Phase,
    /// Why it was cancelled, if it was.
    pub cancelled: Option<Cancelled>,
    /// What is left until the deadline that holds for it.
    pub remaining: Option<Duration>,
    /// How many children are alive, those that were never polled included.
    pub children: usize,
    /// Those that wait: name and spawn place.
    pub waiting: Vec<Member>,
    /// Where its ambient tasks were spawned.
    pub tasks: Vec<&'static Location<'static>>,
}

/// The live tree at one moment, parents before their children. Made by [`tree`].
///
/// Each scope is looked at by itself, without stopping the others, so a tree that changes meanwhile
/// may be shown half before and half after. Its `Display` is text for an operator.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Tree {
    /// The scopes, each before the scopes below it.
    pub scopes: Vec<TreeNode>,
    /// Tasks that belong to nobody: why, and where they were spawned.
    pub detached: Vec<(&'static str, &'static Location<'static>)>,
}

/// Takes a picture of the live tree: from the outermost scope around the call; outside any, from
/// the runtime's root.
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, nursery};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// nursery!(async |_n| {
///     let tree = sc_tokio::tree();
///     assert_eq!(tree.scopes[0].name.as_deref(), Some("page"));
///     println!("{tree}");
///     Ok(())
/// })
/// .named("page")
/// .await
/// # }
/// ```
pub fn tree() -> Tree {
    let mut scopes = Vec::new();
    let mut next: Vec<(Arc<Node>, usize)> = root::top().map(|node| (node, 0)).into_iter().collect();
    while let Some((node, depth)) = next.pop() {
        scopes.push(look(&node, depth));
        let books = node.books();
        next.extend(books.nested.iter().map(|below| (Arc::clone(&below.node), depth + 1)));
    }
    Tree { scopes, detached: Detached::all() }
}

fn look(node: &Arc<Node>, depth: usize) -> TreeNode {
    let (children, remaining) = (node.living_children(), node.remaining());
    let books = node.books();
    TreeNode {
        id: node.id(),
        name: node.origin().name().map(str::to_owned),
        place: node.origin().place(),
        depth,
        phase: books.scope.phase(),
        cancelled: books.scope.cancelled().cloned(),
        remaining,
        children,
        waiting: books.present.members(usize::MAX),
        tasks: books.ambient.places(),
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scope in &self.scopes {
            writeln!(f, "{:indent$}{scope}", "", indent = scope.depth * 2)?;
            for member in &scope.waiting {
                writeln!(f, "{:indent$}- {member}", "", indent = scope.depth * 2 + 2)?;
            }
        }
        for (why, place) in &self.detached {
            writeln!(f, "detached: {} ({place})", OneLine(why))?;
        }
        Ok(())
    }
}

impl fmt::Display for TreeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => write!(f, "{}", ShownName(name))?,
            None => write!(f, "scope {}", self.id)?,
        }
        write!(f, " ({}:{}) {:?}, {} children", self.place.file(), self.place.line(), self.phase, self.children)?;
        if let Some(remaining) = self.remaining {
            write!(f, ", {remaining:?} left")?;
        }
        if let Some(cancelled) = &self.cancelled {
            write!(f, ", {cancelled}")?;
        }
        Ok(())
    }
}

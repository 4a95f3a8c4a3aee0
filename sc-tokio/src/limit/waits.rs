//! Who waits for whom: what the holder of a seat awaits while it is polled, so that it can lend the seat.

use std::cell::RefCell;
use std::sync::Arc;

use sc_core::ScopeId;

use super::{Limit, Seat, Wants};
use crate::node::Node;
use crate::rt::{lock, thread_local};

/// A seat whose holder is being polled on this thread.
struct Seated {
    limit: Limit,
    wants: Wants,
}

thread_local! {
    /// The innermost last. Scopes that a child opened, and borrowed children in them, run inside its poll.
    static SEATED: RefCell<Vec<Seated>> = const { RefCell::new(Vec::new()) };
}

/// The running code awaits this child.
pub(crate) fn awaits(node: &Arc<Node>, id: u64) {
    let Some(limit) = node.limit() else { return };
    let _ = SEATED.try_with(|seats| {
        if let Some(seated) = seats.borrow_mut().iter_mut().rev().find(|seated| seated.limit.is(limit)) {
            seated.wants.children.insert((node.id(), id));
        }
    });
}

/// The running code awaits this child no more.
pub(crate) fn awaits_no_more(node: &Node, id: u64) {
    let Some(limit) = node.limit() else { return };
    let _ = SEATED.try_with(|seats| {
        for seated in seats.borrow_mut().iter_mut().filter(|seated| seated.limit.is(limit)) {
            seated.wants.children.remove(&(node.id(), id));
        }
    });
}

/// The running code waits for the end of this scope, or of all that is in it.
pub(crate) fn awaits_scope(node: &Arc<Node>) {
    let _ = SEATED.try_with(|seats| {
        for seated in seats.borrow_mut().iter_mut() {
            if !seated.wants.below.iter().any(|below| Arc::ptr_eq(below, node)) {
                seated.wants.below.push(Arc::clone(node));
            }
        }
    });
}

impl Seat {
    /// Runs code of the holder. What it waits for while it runs is noted.
    pub(crate) fn sit<R>(&mut self, code: impl FnOnce() -> R) -> R {
        let seated = Seated { limit: self.limit.clone(), wants: std::mem::take(&mut self.wants) };
        // A thread that is being torn down has no list any more; whoever runs there is being dropped.
        let _ = SEATED.try_with(|seats| seats.borrow_mut().push(seated));
        let result = code();
        if let Ok(Some(seated)) = SEATED.try_with(|seats| seats.borrow_mut().pop()) {
            self.wants = seated.wants;
        }
        result
    }
}

impl Limit {
    /// The first queued child of this scope, else of one below it.
    pub(super) fn first_below(&self, scope: &Arc<Node>) -> Option<(ScopeId, u64)> {
        if let Some((child, node)) = self.first_from((scope.id(), 0)) {
            let own = child.0 == scope.id();
            drop(node);
            if own {
                return Some(child);
            }
        }
        let mut from = (ScopeId::new(0), 0);
        while let Some((child, node)) = self.first_from(from) {
            if node.is_below(scope) {
                return Some(child);
            }
            from = (ScopeId::new(child.0.get() + 1), 0);
        }
        None
    }

    /// The first queued child at or after this one, by scope and number.
    fn first_from(&self, from: (ScopeId, u64)) -> Option<((ScopeId, u64), Arc<Node>)> {
        let books = lock(&self.0.books);
        let (child, (_, node)) = books.children.range(from..).next()?;
        Some((*child, Arc::clone(node)))
    }
}

impl Node {
    /// Whether the scope is inside the other one.
    fn is_below(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let mut next = Some(Arc::clone(self));
        while let Some(node) = next {
            if Arc::ptr_eq(&node, other) {
                return true;
            }
            next = node.books().inherits_from();
        }
        false
    }
}

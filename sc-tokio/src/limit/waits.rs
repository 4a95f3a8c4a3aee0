//! Who waits for whom: what the holder of a seat awaits while it is polled, so that it can lend the seat.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sc_core::ScopeId;

use super::{Limit, Seat, Standing, Wants};
use crate::node::Node;
use crate::rt::{lock, thread_local};

/// A seat whose holder is being polled on this thread.
struct Seated {
    limit: Limit,
    ticket: u64,
    wants: Wants,
}

thread_local! {
    /// The innermost last. Scopes that a child opened, and borrowed children in them, run inside its poll.
    static SEATED: RefCell<Vec<Seated>> = const { RefCell::new(Vec::new()) };
}

/// Whether a seat was ever sat on: until then nobody has to look at this thread's list.
static IN_USE: AtomicBool = AtomicBool::new(false);

/// Every await of a child asks. On its own thread, which is the one that matters here, a store is seen at once.
#[inline]
fn is_in_use() -> bool {
    IN_USE.load(Ordering::Relaxed)
}

/// The running code awaits this child. Whether somebody with a seat has to know.
#[inline]
pub(crate) fn awaits(node: &Arc<Node>, id: u64) -> bool {
    is_in_use() && note_await(node, id)
}

#[cold]
fn note_await(node: &Arc<Node>, id: u64) -> bool {
    let noted = SEATED.try_with(|seats| {
        let mut seats = seats.borrow_mut();
        let mut is_innermost = true;
        for seated in seats.iter_mut().rev() {
            if !node.limit().is_some_and(|limit| seated.limit.is(limit)) {
                // The child may wait for somebody below it who waits for a seat.
                seated.wants.through.entry((node.id(), id)).or_insert_with(|| Arc::clone(node));
            } else if std::mem::take(&mut is_innermost) {
                seated.wants.children.insert((node.id(), id));
            }
        }
        !seats.is_empty()
    });
    noted.unwrap_or(false)
}

/// The running code awaits this child no more.
#[inline]
pub(crate) fn awaits_no_more(node: &Node, id: u64) {
    if is_in_use() {
        note_end_of_await(node, id);
    }
}

#[cold]
fn note_end_of_await(node: &Node, id: u64) {
    let _ = SEATED.try_with(|seats| {
        for seated in seats.borrow_mut().iter_mut() {
            seated.wants.children.remove(&(node.id(), id));
            seated.wants.through.remove(&(node.id(), id));
        }
    });
}

/// The running code waits for the end of this scope, or of all that is in it.
#[inline]
pub(crate) fn awaits_scope(node: &Arc<Node>) {
    if is_in_use() {
        note_await_of_scope(node);
    }
}

#[cold]
fn note_await_of_scope(node: &Arc<Node>) {
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
        let seated = Seated { limit: self.limit.clone(), ticket: self.ticket, wants: std::mem::take(&mut self.wants) };
        IN_USE.store(true, Ordering::Relaxed);
        // A thread that is being torn down has no list any more; whoever runs there is being dropped.
        let _ = SEATED.try_with(|seats| seats.borrow_mut().push(seated));
        let result = code();
        if let Ok(Some(seated)) = SEATED.try_with(|seats| seats.borrow_mut().pop()) {
            self.wants = seated.wants;
        }
        result
    }
}

impl Seat {
    /// It was reserved, and is now that of a child in the running task (`inside`), or in one of its own.
    pub(crate) fn passed_on(mut self, inside: bool) -> Self {
        let around = if inside { self.limit.around() } else { Around::default() };
        let mut books = lock(&self.limit.0.books);
        if self.standing == Standing::Held {
            books.leave(&self.around);
            // It is passed on by the task that it enters.
            let _ = books.enter(&around);
        }
        drop(books);
        self.around = around;
        self
    }
}

/// The tickets of those inside whose task the holder of a seat is polled, if any have one under the same limit.
///
/// A task may run as long as somebody in it has a seat.
#[derive(Clone, Default)]
pub(super) struct Around(Option<Arc<[u64]>>);

impl Around {
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|tickets| tickets.iter().copied())
    }

    pub(super) fn contains(&self, ticket: u64) -> bool {
        self.iter().any(|around| around == ticket)
    }
}

impl Limit {
    /// The seats under this limit whose holders are being polled.
    pub(super) fn around(&self) -> Around {
        let tickets = |seats: &RefCell<Vec<Seated>>| {
            seats
                .borrow()
                .iter()
                .filter(|seated| seated.limit.is(self))
                .map(|seated| seated.ticket)
                .collect::<Arc<[u64]>>()
        };
        Around(SEATED.try_with(tickets).ok().filter(|tickets| !tickets.is_empty()))
    }

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

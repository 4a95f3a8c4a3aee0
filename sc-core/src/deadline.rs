//! Deadlines: instants inside, the outermost of equals wins (P8).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Origin;

/// The instant by which a scope has to be done, and the scope that said so.
///
/// One pointer, since every scope below takes it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    at: Instant,
    owner: Origin,
    budget: Option<Duration>,
}

impl Deadline {
    /// A deadline of the scope `owner`; `budget` is the duration it was given as, for messages.
    pub fn new(at: Instant, owner: Origin, budget: Option<Duration>) -> Self {
        Self(Arc::new(Inner { at, owner, budget }))
    }

    /// The instant itself.
    pub fn at(&self) -> Instant {
        self.0.at
    }

    /// The scope whose deadline it is.
    pub fn owner(&self) -> &Origin {
        &self.0.owner
    }

    /// The duration it was given as, if it was.
    pub fn budget(&self) -> Option<Duration> {
        self.0.budget
    }

    /// Whether it has passed at `now`. A deadline at `now` has passed.
    pub fn has_passed(&self, now: Instant) -> bool {
        self.at() <= now
    }

    /// The one that counts: the earlier, and of two equal ones the outer.
    ///
    /// A callee can shorten its caller's deadline, never extend it.
    pub fn effective<'a>(outer: Option<&'a Self>, own: Option<&'a Self>) -> Option<&'a Self> {
        match (outer, own) {
            (Some(outer), Some(own)) if own.at() < outer.at() => Some(own),
            (Some(outer), _) => Some(outer),
            (None, own) => own,
        }
    }
}

//! Deadlines: instants inside, the outermost of equals wins (P8).

use std::time::{Duration, Instant};

use crate::Origin;

/// The instant by which a scope has to be done, and the scope that said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    at: Instant,
    owner: Origin,
    budget: Option<Duration>,
}

impl Deadline {
    /// A deadline of the scope `owner`; `budget` is the duration it was given as, for messages.
    pub const fn new(at: Instant, owner: Origin, budget: Option<Duration>) -> Self {
        Self { at, owner, budget }
    }

    /// The instant itself.
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// The scope whose deadline it is.
    pub const fn owner(&self) -> &Origin {
        &self.owner
    }

    /// The duration it was given as, if it was.
    pub const fn budget(&self) -> Option<Duration> {
        self.budget
    }

    /// Whether it has passed at `now`. A deadline at `now` has passed.
    pub fn has_passed(&self, now: Instant) -> bool {
        self.at <= now
    }

    /// The one that counts: the earlier, and of two equal ones the outer.
    ///
    /// A callee can shorten its caller's deadline, never extend it.
    pub fn effective<'a>(outer: Option<&'a Self>, own: Option<&'a Self>) -> Option<&'a Self> {
        match (outer, own) {
            (Some(outer), Some(own)) if own.at < outer.at => Some(own),
            (Some(outer), _) => Some(outer),
            (None, own) => own,
        }
    }
}

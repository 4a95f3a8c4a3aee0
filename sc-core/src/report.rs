//! The figures of a finished scope.

use std::fmt;
use std::time::Duration;

use crate::Member;

/// How many stragglers a line names.
const NAMED: usize = 3;

/// What a scope did: how many children, how they ended, how long it took.
///
/// Durations are measured by the binding's clock (Tokio's, so virtual time in a paused test).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Children that the scope accepted.
    pub spawned: u64,
    /// Children that ended with a value.
    pub succeeded: u64,
    /// Children that returned an error.
    pub failed: u64,
    /// Children that panicked.
    pub panicked: u64,
    /// Children that were cancelled, from above, from inside, or because their runtime ended.
    pub cancelled: u64,
    /// Children that were refused because the scope was already draining. Not part of `spawned`.
    pub refused: u64,
    /// From the first poll to the end.
    pub duration: Duration,
    /// From the cancellation to the last exit, if the scope was cancelled.
    pub drained_in: Option<Duration>,
    /// Failures beyond the list's bound, which went to the failure hook.
    pub failures_unkept: u64,
    /// Whose failures [`Outcome::failures`](crate::Outcome::failures) lists, in the same order.
    pub failed_members: Vec<Member>,
    /// Who was still alive when the drain had taken longer than `warn_after`; in a scope that was shut
    /// down, also who had to be dropped when its grace was over. The first of them, if there are many.
    pub stragglers: Vec<Straggler>,
}

impl Report {
    /// Of a scope in which nothing has happened.
    pub(crate) const EMPTY: &'static Self = {
        static EMPTY: Report = Report {
            spawned: 0,
            succeeded: 0,
            failed: 0,
            panicked: 0,
            cancelled: 0,
            refused: 0,
            duration: Duration::ZERO,
            drained_in: None,
            failures_unkept: 0,
            failed_members: Vec::new(),
            stragglers: Vec::new(),
        };
        &EMPTY
    };
}

/// A member that was still alive long after its cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Straggler {
    /// Who.
    pub member: Member,
    /// How long after the cancellation it was seen alive.
    pub after: Duration,
}

impl Straggler {
    /// Records that `member` was alive `after` its cancellation.
    pub const fn new(member: Member, after: Duration) -> Self {
        Self { member, after }
    }
}

impl fmt::Display for Straggler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} still alive after {:?}", self.member, self.after)
    }
}

impl fmt::Display for Report {
    /// One line; counts of zero are left out, and of many stragglers the first three are named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let children = if self.spawned == 1 { "child" } else { "children" };
        write!(f, "{} {children} in {:?}: {} ok", self.spawned, self.duration, self.succeeded)?;
        let rest = [
            (self.failed, "failed"),
            (self.panicked, "panicked"),
            (self.cancelled, "cancelled"),
            (self.refused, "refused"),
            (self.failures_unkept, "failures not kept"),
        ];
        for (count, what) in rest.iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        if let Some(drained) = self.drained_in {
            write!(f, "; drained in {drained:?}")?;
        }
        for straggler in self.stragglers.iter().take(NAMED) {
            write!(f, "; {straggler}")?;
        }
        match self.stragglers.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

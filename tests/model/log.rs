//! What a run is compared by: who began and ended when, and who learned what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::Expected;
use crate::program::readable;

/// In virtual milliseconds since the program began.
pub(crate) type At = u64;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Entry {
    /// A frame was polled for the first time.
    Began(usize),
    /// A frame was dropped, whatever ended it.
    Ended(usize, How),
    /// A finalizer of this scope, by its number, was told this and begins.
    Finalizing {
        scope: usize,
        id: usize,
        told: String,
    },
    Finalized {
        scope: usize,
        id: usize,
        how: How,
    },
    /// What a frame learned of a child.
    Saw {
        frame: usize,
        child: usize,
        what: Seen,
    },
    /// The result of a scope, as its opener got it.
    Tried {
        frame: usize,
        scope: usize,
        what: Seen,
    },
    /// The result of code in a shield.
    Unshielded {
        frame: usize,
        code: usize,
        what: Seen,
    },
    /// The result of a join: how it ended, and what it gave, in that order.
    Joined {
        frame: usize,
        group: usize,
        end: Decided,
        given: Vec<Seen>,
    },
    /// The outcome of a scope, as its opener got it; of the root nobody is the opener.
    Resolved {
        frame: Option<usize>,
        scope: usize,
        outcome: Summary,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    Value,
    Error,
    Panic,
    Dropped,
}

/// Which error it is: that of a frame or finalizer, or one made from a cancellation, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Raised {
    By(usize),
    Cancelled(String),
}

/// What became of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Decided {
    Won,
    Failed,
    Empty,
    TooFew,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    Value,
    /// That of this frame.
    ValueOf(usize),
    Error(Raised),
    Panic(usize),
    /// With the reason.
    Cancelled(String),
    Owned,
    /// What the handle of a task says that was stopped.
    Aborted,
    /// `Child::cancel` says no more.
    Stopped,
    /// A child that was started has said that it is ready; one has ended without.
    Ready,
    Unsignalled,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Summary {
    pub(crate) kind: String,
    pub(crate) has_value: bool,
    /// The reason, and whether it was inherited.
    pub(crate) cancelled: Option<(String, bool)>,
    pub(crate) primary: Option<Seen>,
    /// Sorted.
    pub(crate) further: Vec<Seen>,
    /// Spawned, succeeded, failed, panicked, cancelled, refused.
    pub(crate) counts: [u64; 6],
    pub(crate) duration: At,
    pub(crate) drained_in: Option<At>,
}

/// Entries in the order in which they were made.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Vec<(At, Entry)>);

impl Log {
    /// Without what a frame learned in the very instant in which it was dropped: whether it was polled once more before
    /// it was dropped is nobody's promise.
    ///
    /// And without the children among `seated` that began in the instant in which they were dropped: a seat that comes free
    /// with what ends the scope may be taken before or after that.
    fn comparable(&self, seated: &BTreeSet<usize>) -> Vec<(At, Entry)> {
        let dropped = |at: At, frame: usize| self.0.contains(&(at, Entry::Ended(frame, How::Dropped)));
        let mut entries: Vec<_> = self
            .0
            .iter()
            .filter(|(at, entry)| match entry {
                Entry::Saw { frame, .. }
                | Entry::Tried { frame, .. }
                | Entry::Unshielded { frame, .. }
                | Entry::Joined { frame, .. }
                | Entry::Resolved { frame: Some(frame), .. } => !dropped(*at, *frame),
                Entry::Began(frame) | Entry::Ended(frame, How::Dropped) if seated.contains(frame) => {
                    !(self.0.contains(&(*at, Entry::Began(*frame))) && dropped(*at, *frame))
                }
                _ => true,
            })
            .cloned()
            .collect();
        entries.sort();
        entries
    }

    /// For each scope its daemons' ends and its finalizers, in their order (P10). `daemons` says whose a daemon is.
    fn teardowns(&self, daemons: &BTreeMap<usize, usize>) -> BTreeMap<usize, Vec<Entry>> {
        let mut orders: BTreeMap<usize, Vec<Entry>> = BTreeMap::new();
        for (_, entry) in &self.0 {
            let scope = match entry {
                Entry::Ended(frame, _) => daemons.get(frame).copied(),
                Entry::Finalizing { scope, .. } | Entry::Finalized { scope, .. } => Some(*scope),
                _ => None,
            };
            if let Some(scope) = scope {
                orders.entry(scope).or_default().push(entry.clone());
            }
        }
        orders
    }

    /// What differs, if anything does.
    pub(crate) fn differs_from(&self, expected: &Expected) -> Result<(), String> {
        let Expected { log, daemons, seated, .. } = expected;
        let (mine, theirs) = (self.comparable(seated), log.comparable(seated));
        if mine != theirs {
            let at = mine.iter().zip(&theirs).position(|(a, b)| a != b).unwrap_or(mine.len().min(theirs.len()));
            let line = |entries: &[(At, Entry)]| match entries.get(at) {
                Some((at, entry)) => format!("{}: {entry:?}", readable(*at)),
                None => "nothing more".to_owned(),
            };
            return Err(format!("the first difference:\n  ran:      {}\n  expected: {}", line(&mine), line(&theirs)));
        }
        let (mine, theirs) = (self.teardowns(daemons), log.teardowns(daemons));
        if mine != theirs {
            return Err(format!("another order of teardown (P10):\n  ran:      {mine:?}\n  expected: {theirs:?}"));
        }
        Ok(())
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, entry) in &self.0 {
            writeln!(f, "  {:>16} {entry:?}", readable(*at))?;
        }
        Ok(())
    }
}

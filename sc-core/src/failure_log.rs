//! The failures a scope keeps: bounded, the primary one first (P4).

use crate::{Failure, Member};

/// How many failures a scope keeps. Those beyond go to the failure hook at once.
pub const FAILURES_KEPT: usize = 64;

/// A failure, and whose it was.
#[derive(Debug)]
pub struct FailureRecord<E> {
    /// Who failed.
    pub member: Member,
    /// How.
    pub failure: Failure<E>,
}

#[derive(Debug)]
pub(crate) struct FailureLog<E> {
    records: Vec<FailureRecord<E>>,
    /// Whether `records[0]` decided the scope's outcome.
    has_primary: bool,
    unkept: u64,
}

impl<E> FailureLog<E> {
    pub(crate) const fn new() -> Self {
        Self { records: Vec::new(), has_primary: false, unkept: 0 }
    }

    /// Keeps the failure that decided the outcome. It has a place of its own beyond the bound, so
    /// that a long list of tolerated failures cannot push it out.
    pub(crate) fn push_primary(&mut self, record: FailureRecord<E>) {
        debug_assert!(!self.has_primary, "an outcome is decided once");
        self.records.insert(0, record);
        self.has_primary = true;
    }

    /// Keeps a further failure, or gives it back if the list is full.
    pub(crate) fn push(&mut self, record: FailureRecord<E>) -> Option<FailureRecord<E>> {
        if self.records.len() - usize::from(self.has_primary) >= FAILURES_KEPT {
            self.unkept += 1;
            return Some(record);
        }
        self.records.push(record);
        None
    }

    pub(crate) const fn has_primary(&self) -> bool {
        self.has_primary
    }

    pub(crate) fn primary(&self) -> Option<&FailureRecord<E>> {
        self.records.first().filter(|_| self.has_primary)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.unkept == 0
    }

    /// The records, primary first, and how many there was no room for.
    pub(crate) fn take(&mut self) -> (Vec<FailureRecord<E>>, bool, u64) {
        (std::mem::take(&mut self.records), self.has_primary, self.unkept)
    }
}

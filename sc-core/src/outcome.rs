//! How a scope ended, with everything it has to hand over.

use std::fmt;

use crate::{Cancelled, Failure, Report, ScopeError};

/// How a scope ended.
///
/// | kind | body's value | result |
/// |---|---|---|
/// | [`Ok`](Self::Ok) | there | `Ok` |
/// | [`Partial`](Self::Partial) | there | `Ok` |
/// | [`Failed`](Self::Failed) | if the body was done | `Err`, or the panic goes on |
/// | [`Cancelled`](Self::Cancelled) | if the body was done | `Err` |
/// | [`DeadlineExceeded`](Self::DeadlineExceeded) | if the body was done | `Err` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutcomeKind {
    /// The body gave a value and nothing failed or was cut short.
    Ok,
    /// The body gave a value; there were failures that the policy continued past.
    Partial,
    /// A failure ended the scope.
    Failed,
    /// A cancellation cut something short.
    Cancelled,
    /// A deadline cut something short.
    DeadlineExceeded,
}

/// How a scope ended, as its finalizers are told.
#[derive(Debug, Clone)]
pub struct ScopeEnd {
    kind: OutcomeKind,
    cancelled: Option<Cancelled>,
}

impl ScopeEnd {
    pub(crate) const fn new(kind: OutcomeKind, cancelled: Option<Cancelled>) -> Self {
        Self { kind, cancelled }
    }

    /// How the scope ended so far. A finalizer that fails afterwards can still make it `Failed`.
    pub const fn kind(&self) -> OutcomeKind {
        self.kind
    }

    /// Whether the body gave a value and nothing ended the scope early: commit rather than roll back.
    pub const fn is_ok(&self) -> bool {
        matches!(self.kind, OutcomeKind::Ok | OutcomeKind::Partial)
    }

    /// Why the scope was cancelled, if it was.
    pub const fn cancelled(&self) -> Option<&Cancelled> {
        self.cancelled.as_ref()
    }
}

/// Everything a finished scope has to hand over.
///
/// A value that the body produced is in here whatever ended the scope (P5), and so is every failure
/// up to the bound of [`FAILURES_KEPT`](crate::FAILURES_KEPT) (P4).
#[derive(Debug)]
#[must_use = "an outcome may hold failures that nobody else is told"]
pub struct Outcome<T, E> {
    kind: OutcomeKind,
    value: Option<T>,
    failures: Vec<Failure<E>>,
    cancelled: Option<Cancelled>,
    report: Report,
}

impl<T, E> Outcome<T, E> {
    pub(crate) const fn new(
        kind: OutcomeKind,
        value: Option<T>,
        failures: Vec<Failure<E>>,
        cancelled: Option<Cancelled>,
        report: Report,
    ) -> Self {
        Self { kind, value, failures, cancelled, report }
    }

    /// How the scope ended.
    pub const fn kind(&self) -> OutcomeKind {
        self.kind
    }

    /// Whether [`into_result`](Self::into_result) gives `Ok`.
    pub const fn is_ok(&self) -> bool {
        matches!(self.kind, OutcomeKind::Ok | OutcomeKind::Partial)
    }

    /// The body's value, if it produced one, whatever the kind.
    pub const fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The body's value, owned, whatever the kind.
    pub fn into_value(self) -> Option<T> {
        self.value
    }

    /// The failures, at most [`FAILURES_KEPT`](crate::FAILURES_KEPT) and the primary one; for
    /// [`OutcomeKind::Failed`] that is the first. [`Report::failed_members`] says whose they were.
    pub fn failures(&self) -> &[Failure<E>] {
        &self.failures
    }

    /// The failures, owned, in the same order.
    pub fn into_failures(self) -> Vec<Failure<E>> {
        self.failures
    }

    /// Why the scope was cancelled, if it was. A failure that ends a scope cancels it too.
    pub const fn cancelled(&self) -> Option<&Cancelled> {
        self.cancelled.as_ref()
    }

    /// Counts, durations and stragglers.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// The value and the failures, owned, whatever the kind.
    pub fn into_parts(self) -> (Option<T>, Vec<Failure<E>>) {
        (self.value, self.failures)
    }

    /// Changes the type of the errors.
    pub fn map_err<F>(self, mut f: impl FnMut(E) -> F) -> Outcome<T, F> {
        let failures = if self.failures.is_empty() {
            Vec::new()
        } else {
            self.failures.into_iter().map(|failure| failure.map(&mut f)).collect()
        };
        Outcome { kind: self.kind, value: self.value, failures, cancelled: self.cancelled, report: self.report }
    }

    /// The result: the value for `Ok` and `Partial`, else the primary failure's error or the
    /// error made from the cancellation.
    ///
    /// # Errors
    ///
    /// If the kind is neither `Ok` nor `Partial`.
    ///
    /// # Panics
    ///
    /// Goes on with the primary failure's panic, if it was one, with its original payload.
    pub fn into_result(self) -> Result<T, E>
    where
        E: ScopeError,
    {
        match self.into_primary().0 {
            Ok(value) => Ok(value),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Panic(panic)) => panic.resume(),
            Err(Failure::Cancelled(cancelled)) => Err(E::from_cancelled(cancelled)),
            Err(Failure::OwnedByScope) => unreachable!("a scope records the failures it owns as themselves"),
        }
    }

    /// The result without conversion, and the further failures.
    pub fn into_primary(mut self) -> (Result<T, Failure<E>>, Vec<Failure<E>>) {
        let primary = match (self.kind, self.value, self.cancelled) {
            (OutcomeKind::Ok | OutcomeKind::Partial, Some(value), _) => Ok(value),
            (OutcomeKind::Cancelled | OutcomeKind::DeadlineExceeded, _, Some(cancelled)) => {
                Err(Failure::Cancelled(cancelled))
            }
            _ => Err(self.failures.remove(0)),
        };
        (primary, self.failures)
    }
}

impl<T, E: fmt::Display> fmt::Display for Outcome<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.failures.first(), &self.cancelled) {
            (OutcomeKind::Failed, Some(primary), _) => write!(f, "failed: {primary}")?,
            (OutcomeKind::Cancelled, _, Some(cancelled)) => write!(f, "cancelled: {cancelled}")?,
            (OutcomeKind::DeadlineExceeded, _, Some(cancelled)) => write!(f, "{cancelled}")?,
            (OutcomeKind::Partial, ..) => write!(f, "ok, {} failures tolerated", self.failures.len())?,
            _ => f.write_str("ok")?,
        }
        write!(f, " ({})", self.report)
    }
}

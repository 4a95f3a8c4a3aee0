//! How a scope ended, with everything it has to hand over.

use std::fmt;

use crate::{Cancelled, Failure, Member, OneLine, Report, ScopeError};

/// How many further failures a line names.
const NAMED: usize = 3;

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

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::DeadlineExceeded => "deadline exceeded",
        })
    }
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

impl fmt::Display for ScopeEnd {
    /// The kind and, if the scope was cancelled, why: one line, as
    /// ``failed: child `user` (src/page.rs:38:9) failed in scope `page` (src/page.rs:30)``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cancelled {
            Some(cancelled) if !self.is_ok() => write!(f, "{}: {cancelled}", self.kind),
            _ => write!(f, "{}", self.kind),
        }
    }
}

/// Everything a finished scope has to hand over.
///
/// A value that the body produced is in here whatever ended the scope (P5), and so is every failure
/// up to the bound of [`FAILURES_KEPT`](crate::FAILURES_KEPT) (P4). Its `Display` is one line for a log.
///
/// Kotlin's `supervisorScope` and Trio's nurseries raise what ended them, and attach or group the rest;
/// here the rest is data, beside the value.
#[derive(Debug)]
#[must_use = "an outcome may hold failures that nobody else is told"]
pub struct Outcome<T, E> {
    kind: OutcomeKind,
    value: Option<T>,
    failures: Vec<Failure<E>>,
    cancelled: Option<Cancelled>,
    report: Option<Box<Report>>,
}

impl<T, E> Outcome<T, E> {
    pub(crate) const fn new(
        kind: OutcomeKind,
        value: Option<T>,
        failures: Vec<Failure<E>>,
        cancelled: Option<Cancelled>,
        report: Option<Box<Report>>,
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
    pub fn report(&self) -> &Report {
        self.report.as_deref().unwrap_or(Report::EMPTY)
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

impl<T, E> Outcome<T, E> {
    /// The failures and whose they are.
    fn failed(&self) -> impl Iterator<Item = (Option<&Member>, &Failure<E>)> {
        let members = self.report().failed_members.iter().map(Some).chain(std::iter::repeat(None));
        members.zip(&self.failures)
    }
}

impl<T, E: fmt::Display> Outcome<T, E> {
    fn fmt_primary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((member, failure)) = self.failed().next() else { return Ok(()) };
        if let Some(member) = member {
            write!(f, ": {member}")?;
        }
        if let Some(cancelled) = &self.cancelled {
            write!(f, " in {}", cancelled.origin())?;
        }
        fmt_failure(f, failure)
    }

    /// The failures that did not decide: how many, and the first few of them.
    fn fmt_further(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decided = usize::from(self.kind == OutcomeKind::Failed);
        let listed = self.failures.len().saturating_sub(decided) as u64;
        let count = listed + self.report().failures_unkept;
        if count == 0 {
            return Ok(());
        }
        write!(f, "; {count} further failure{} [", if count == 1 { "" } else { "s" })?;
        for (n, (member, failure)) in self.failed().skip(decided).take(NAMED).enumerate() {
            f.write_str(if n == 0 { "" } else { "; " })?;
            match member {
                Some(member) => write!(f, "{member}")?,
                None => f.write_str("somebody")?,
            }
            fmt_failure(f, failure)?;
        }
        let named = listed.min(NAMED as u64);
        match (count - named, named) {
            (0, _) => {}
            (_, 0) => f.write_str("not kept")?,
            (left, _) => write!(f, "; and {left} more")?,
        }
        f.write_str("]")
    }
}

/// On one line, whatever the error's own text is.
fn fmt_failure<E: fmt::Display>(f: &mut fmt::Formatter<'_>, failure: &Failure<E>) -> fmt::Result {
    if f.alternate() { write!(f, ": {:#}", OneLine(failure)) } else { write!(f, ": {}", OneLine(failure)) }
}

impl<T, E: fmt::Display> fmt::Display for Outcome<T, E> {
    /// One line of a log: what ended the scope, whose failure it was, how many further failures there
    /// were and the first three of them, and in parentheses the [`Report`].
    ///
    /// It begins with the [`OutcomeKind`]. Names, causes and error messages are escaped where they
    /// would break the line; `{:#}` shows errors with `{:#}` (for `anyhow`: with their sources).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match (self.kind, &self.cancelled) {
            (OutcomeKind::Failed, _) => self.fmt_primary(f)?,
            (OutcomeKind::Cancelled | OutcomeKind::DeadlineExceeded, Some(cancelled)) => write!(f, ": {cancelled}")?,
            _ => {}
        }
        self.fmt_further(f)?;
        write!(f, " ({})", self.report())
    }
}

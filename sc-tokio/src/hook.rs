//! The failure hook: the last resort for failures that nobody else takes (P4).

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use sc_core::{Failure, FailureRecord, Member, OneLine, Origin, Outcome, OutcomeKind};

use crate::fault::{self, BoxedError};

/// A failure that reached nobody: its handle was dropped, its scope's future was dropped, or the
/// scope's result had room for one error only.
#[derive(Debug)]
#[non_exhaustive]
pub struct UnhandledFailure {
    /// The scope it happened in.
    pub scope: Origin,
    /// Whose failure it is.
    pub member: Member,
    /// The error's `Debug` text, or the panic's message.
    pub message: String,
    /// Whether it was a panic.
    pub is_panic: bool,
}

impl fmt::Display for UnhandledFailure {
    /// One line; [`message`](Self::message) has the text as it was.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = OneLine(&self.message);
        write!(f, "{} in {} failed and nobody was there to take it: {message}", self.member, self.scope)
    }
}

type Hook = Arc<dyn Fn(&UnhandledFailure) + Send + Sync>;

static HOOK: RwLock<Option<Hook>> = RwLock::new(None);

/// Sets what is called with every failure that reaches nobody else, like the panic hook of `std`.
///
/// The default is a `tracing` event at error level (without the `tracing` feature: a line on
/// standard error). The hook is called once per failure, outside every lock, on the thread where
/// the failure lost its last taker. A hook that panics is reported on standard error and does not
/// disturb the scope.
///
/// # Examples
///
/// ```
/// sc_tokio::set_failure_hook(|failure| eprintln!("lost: {failure}"));
/// ```
pub fn set_failure_hook(hook: impl Fn(&UnhandledFailure) + Send + Sync + 'static) {
    let hook: Hook = Arc::new(hook);
    let old = HOOK.write().unwrap_or_else(PoisonError::into_inner).replace(hook);
    drop(old);
}

/// Puts the default failure hook back.
pub fn reset_failure_hook() {
    let old = HOOK.write().unwrap_or_else(PoisonError::into_inner).take();
    drop(old);
}

/// Hands a failure to the hook.
pub(crate) fn unhandled(scope: &Origin, record: FailureRecord<BoxedError>) {
    let FailureRecord { member, failure } = record;
    // An error that cannot be described has happened all the same.
    let message = catch_unwind(AssertUnwindSafe(|| fault::describe(&failure)));
    let message = message.unwrap_or_else(|payload| {
        let panic = sc_core::Panic::new(payload);
        let message = format!("an error whose `Debug` {panic}");
        crate::wake::discard(panic.into_payload());
        message
    });
    tell(&UnhandledFailure { scope: scope.clone(), member: member.clone(), message, is_panic: failure.is_panic() });
    if let Some(panic) = crate::wake::drop_quietly(failure) {
        tell(&UnhandledFailure { scope: scope.clone(), member, message: panic.to_string(), is_panic: true });
        crate::wake::discard(panic.into_payload());
    }
}

fn tell(failure: &UnhandledFailure) {
    let hook = HOOK.read().unwrap_or_else(PoisonError::into_inner).clone();
    let told = catch_unwind(AssertUnwindSafe(|| match &hook {
        Some(hook) => hook(failure),
        None => default_hook(failure),
    }));
    // The last owner, if another hook was set meanwhile; it drops what the user's closure captured.
    let dropped = crate::wake::drop_quietly(hook);
    for panic in [told.err().map(sc_core::Panic::new), dropped].into_iter().flatten() {
        // Nothing is left below the last resort but standard error.
        eprintln!("sc_tokio: while reporting a failure in {}: {panic}", failure.scope);
        crate::wake::discard(panic.into_payload());
    }
}

/// Hands over the failures that a result has no room for.
pub(crate) fn further<T, E>(scope: &Origin, outcome: Outcome<T, E>) -> Result<T, Failure<E>>
where
    E: fmt::Debug + Send + 'static,
{
    if outcome.failures().is_empty() {
        return outcome.into_primary().0;
    }
    let members = outcome.report().failed_members.clone();
    let has_primary = outcome.kind() == OutcomeKind::Failed;
    let (result, failures) = outcome.into_primary();
    let members = members.into_iter().skip(usize::from(has_primary));
    all(scope, members.zip(failures));
    result
}

/// Hands over failures and whose they are.
pub(crate) fn all<E>(scope: &Origin, failures: impl IntoIterator<Item = (Member, Failure<E>)>)
where
    E: fmt::Debug + Send + 'static,
{
    for (member, failure) in failures {
        unhandled(scope, FailureRecord { member, failure: fault::erase(failure) });
    }
}

#[cfg(feature = "tracing")]
fn default_hook(failure: &UnhandledFailure) {
    tracing::error!(target: "sc_tokio", "{failure}");
}

#[cfg(not(feature = "tracing"))]
fn default_hook(failure: &UnhandledFailure) {
    eprintln!("sc_tokio: {failure}");
}

//! What a scope asks of its runtime after an input.

use std::time::Duration;

use crate::{Cancelled, ChildId, FailureRecord};

/// What has to be done now, in the order of the fields.
///
/// Every input of [`Scope`](crate::Scope) returns one. Take it apart with an exhaustive pattern, so
/// that an effect added later cannot be overlooked; dropping it unread breaks the scope's promises.
#[derive(Debug)]
#[must_use = "a scope's decisions take effect only if the runtime carries them out"]
#[allow(clippy::struct_excessive_bools, reason = "a set of independent commands, each performed or not")]
pub struct Effects<E> {
    /// Refuse every spawn from now on (P7).
    pub refuse: bool,
    /// The scope is cancelled: publish this notice, hand it down to every nested scope that is not
    /// opened by a daemon, and only then wake whoever waits for it (P6).
    pub signal: Option<Cancelled>,
    /// The grace is over: body, borrowed and ordinary children are dropped at their next await. (Not those to which the
    /// binding gave a grace of their own, which it times itself.)
    pub stop: bool,
    /// Tell this daemon that it is cancelled.
    pub signal_daemon: Option<(ChildId, Cancelled)>,
    /// This daemon's grace is over: it is dropped at its next await.
    pub stop_daemon: Option<ChildId>,
    /// Ask the policy about queued exits: call
    /// [`next_exit_to_judge`](crate::Scope::next_exit_to_judge) until it is empty.
    pub judge: bool,
    /// The place of failed children's errors was settled: wake handles that wait to claim one.
    pub settled: bool,
    /// The scope's future is gone: somebody else has to carry the teardown through (P3).
    pub adopt: bool,
    /// Run the finalizer registered last, shielded and bounded in time (P10).
    pub run_finalizer: bool,
    /// The effective deadline moved: hand it down to nested scopes.
    pub deadline_moved: bool,
    /// [`next_timer`](crate::Scope::next_timer) may have changed.
    pub rearm: bool,
    /// Ending takes longer than `warn_after`: say so, and of whom one waits (P9).
    pub slow: Option<Slow>,
    /// Failures that the scope has no room for: give them to the failure hook (P4).
    pub unkept: Vec<FailureRecord<E>>,
    /// Everything has ended: release what the scope holds of its parent, resolve its future.
    pub closed: bool,
}

/// A scope that takes long to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow {
    /// `true`: cancelled, and waiting for stragglers. `false`: closing, and waiting for work.
    pub draining: bool,
    /// How long it has been waiting.
    pub waited: Duration,
}

impl<E> Effects<E> {
    pub(crate) const fn none() -> Self {
        Self {
            refuse: false,
            signal: None,
            stop: false,
            signal_daemon: None,
            stop_daemon: None,
            judge: false,
            settled: false,
            adopt: false,
            run_finalizer: false,
            deadline_moved: false,
            rearm: false,
            slow: None,
            unkept: Vec::new(),
            closed: false,
        }
    }
}

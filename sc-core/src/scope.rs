//! The state machine of one scope.

mod exits;
mod lists;
mod teardown;
mod types;

use std::time::{Duration, Instant};

pub use types::{BodyEnd, CancelRequest, ChildKind, Claim, Config, End, Exit, Phase, Told};

use self::lists::{Daemons, Failures};
use crate::cancelled::Detail;
use crate::failure_log::FailureLog;
use crate::{
    Cancelled, ChildId, Deadline, Effects, Failure, Member, Outcome, OutcomeKind, Reason, Report, ScopeEnd, Straggler,
};

/// One scope: what it decides, and when it has ended.
///
/// # Contract
///
/// A binding owns one `Scope` per open scope, behind a lock, and calls its methods in four groups.
///
/// **Inputs** report what happened and return [`Effects`]. The binding performs the effects in the
/// order of the fields before it gives the next input; user code and wakers run after the lock is
/// released.
///
/// | input | when |
/// |---|---|
/// | [`admit_daemon`](Self::admit_daemon) | before a daemon is started (`false`: refuse it) |
/// | [`daemon_scope_opened`](Self::daemon_scope_opened), [`daemon_scope_closed`](Self::daemon_scope_closed) | a daemon opened a scope, which does not count as an ordinary child; that scope closed |
/// | [`child_exited`](Self::child_exited) | a child ended other than with a plain success, or is a daemon, or the policy watches all exits |
/// | [`body_ended`](Self::body_ended) | the body returned, panicked, or was dropped at a stop; once |
/// | [`drained`](Self::drained) | the body has ended and the last ordinary child too (its captures and unread output dropped); once |
/// | [`cancel`](Self::cancel), [`inherit`](Self::inherit) | a cancellation was requested here, or came down from an ancestor |
/// | [`stop_by`](Self::stop_by), [`hasten`](Self::hasten) | whoever owns the scope shuts it down by an instant; that instant came down from an ancestor |
/// | [`tick`](Self::tick) | the instant of [`next_timer`](Self::next_timer) has come |
/// | [`cut_grace`](Self::cut_grace) | there is no timer for [`next_timer`](Self::next_timer), and nobody to tell |
/// | [`set_deadline`](Self::set_deadline), [`inherit_deadline`](Self::inherit_deadline) | the own or the inherited deadline moved |
/// | [`future_dropped`](Self::future_dropped) | the scope's future was dropped before [`Phase::Closed`] |
/// | [`opener_ended`](Self::opener_ended) | the frame that opened the scope ended and was dropped while the scope's future still exists |
/// | [`finalizer_ended`](Self::finalizer_ended) | the finalizer started by `run_finalizer` ended |
/// | [`judged`](Self::judged) | the policy has judged an exit |
/// | [`unclaimed`](Self::unclaimed) | a failure came back from a handle that could not use it |
///
/// **The counter of ordinary children is the binding's**, so that a successful exit takes no lock.
/// The binding counts itself in until the body has ended; when the count reaches zero it gives
/// [`drained`](Self::drained). A child that asks for admission while it is itself counted is
/// accepted unless `refuse` was performed; nobody who is not counted may be admitted. (The count is
/// part of the model that the search in `tests/` explores.)
///
/// **Claims**: where [`handles_matter`](Self::handles_matter), a child that is given a handle is
/// announced with [`expect_claim`](Self::expect_claim); the handle takes the failure of its child
/// with [`claim`](Self::claim), and says with [`release`](Self::release) that it is gone, so that
/// an unread failure goes to the further failures.
///
/// **Getters** change nothing.
///
/// After `closed`, [`finish`](Self::finish) gives the outcome. Time never goes back: each `now` is
/// at least the one before. Inputs after `closed` have no effect.
///
/// # Examples
///
/// A scope without children:
///
/// ```
/// use std::time::{Duration, Instant};
/// use sc_core::{BodyEnd, Config, Origin, OutcomeKind, Phase, Scope, ScopeId, Watch};
///
/// # fn start() -> Instant { #[allow(clippy::disallowed_methods)] Instant::now() }
/// let now = start();
/// let origin = Origin::new(ScopeId::new(1), None, std::panic::Location::caller());
/// let mut scope = Scope::<std::io::Error>::new(Config {
///     origin,
///     watch: Watch::FailFast,
///     grace: None,
///     warn_after: Duration::from_secs(10),
///     deadline: None,
///     opened_at: Some(now),
/// });
/// let effects = scope.body_ended(BodyEnd::Value, None, now);
/// assert!(!effects.closed); // the binding still counts itself in
/// let effects = scope.drained(now);
/// assert!(effects.closed);
/// assert_eq!(scope.phase(), Phase::Closed);
/// assert_eq!(scope.finish(Some(7), 0).kind(), OutcomeKind::Ok);
/// ```
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent latches, each set once and never reset")]
pub struct Scope<E> {
    config: Config,
    body: Body,
    /// The first cancellation; the first reason wins (P6).
    cancelled: Option<Cancelled>,
    cancelled_at: Option<Instant>,
    /// When what still runs is dropped; meaningful once cancelled (P9).
    stop_at: Option<Instant>,
    stopped: bool,
    refusing: bool,
    /// Something did not run to its end because of the scope's cancellation (P5).
    cut_short: bool,
    inherited_deadline: Option<Deadline>,
    told_in_turn: bool,
    drained: bool,
    daemons: Option<Box<Daemons>>,
    finalizers: usize,
    finalizing: bool,
    future_gone: bool,
    closed: bool,
    slow_at: Option<Instant>,
    waiting_since: Option<Instant>,
    failures: Option<Box<Failures<E>>>,
    /// What differs from an empty one; its totals are made at the end.
    report: Option<Box<Report>>,
    duration: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Running,
    Ended,
}

/// An exit that waits for, or is under, the policy's judgement.
#[derive(Debug)]
pub struct QueuedExit<E> {
    /// The child.
    pub id: ChildId,
    /// Who it is.
    pub member: Member,
    /// Its failure; `None` if it succeeded.
    pub failure: Option<Failure<E>>,
    /// How many children had failed before.
    pub failures_before: u64,
}

impl<E> Scope<E> {
    /// Opens a scope.
    #[inline]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            body: Body::Running,
            cancelled: None,
            cancelled_at: None,
            stop_at: None,
            stopped: false,
            refusing: false,
            cut_short: false,
            inherited_deadline: None,
            told_in_turn: false,
            drained: false,
            daemons: None,
            finalizers: 0,
            finalizing: false,
            future_gone: false,
            closed: false,
            slow_at: None,
            waiting_since: None,
            failures: None,
            report: None,
            duration: Duration::ZERO,
        }
    }

    // Inputs: cancellation.

    /// Cancels the scope. The first reason wins; later requests change nothing.
    pub fn cancel(&mut self, request: CancelRequest, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        let CancelRequest { reason, cause } = request;
        self.begin_cancel(reason, Detail { cause, ..Detail::default() }, now, &mut effects);
        effects
    }

    /// Takes over an ancestor's cancellation, with the instant at which its grace ends (`None`: never).
    pub fn inherit(&mut self, cancelled: &Cancelled, stop_at: Option<Instant>, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        self.publish(cancelled.inherited(), stop_at, now, &mut effects);
        effects
    }

    /// Cancels the scope, and lets what runs have until `at` (`None`: as long as it takes), whatever the
    /// scope's own grace: daemons share that instant (P9). One that is cancelled already keeps its reason,
    /// and its grace ends at the earlier instant.
    pub fn stop_by(&mut self, request: CancelRequest, at: Option<Instant>, now: Instant) -> Effects<E> {
        self.config.grace = None;
        let mut effects = Effects::none();
        let CancelRequest { reason, cause } = request;
        let detail = Detail { cause, ..Detail::default() };
        self.publish(Cancelled::new(reason, self.config.origin.clone(), detail), at, now, &mut effects);
        // Also where it has just been cancelled: a daemon may have begun its turn before.
        self.shorten_grace(at, now, &mut effects);
        effects
    }

    /// An ancestor's grace ends earlier than was said when its cancellation came down. No concern of a
    /// scope that has a grace of its own, or is not cancelled, nor of a daemon that has one.
    pub fn hasten(&mut self, at: Option<Instant>, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        if self.config.grace.is_none() {
            self.shorten_grace(at, now, &mut effects);
        }
        effects
    }

    /// The scope's future was dropped: cancels, and asks for the teardown to be adopted (P3).
    pub fn future_dropped(&mut self, now: Instant) -> Effects<E> {
        self.future_is_gone(Reason::ScopeDropped, now)
    }

    /// The opener's frame ended with the scope still open, its future forgotten or carried out (P3).
    pub fn opener_ended(&mut self, now: Instant) -> Effects<E> {
        self.future_is_gone(Reason::OpenerEnded, now)
    }

    /// A notice for a child whose own deadline, given as `budget`, has passed while its scope goes on.
    pub fn notice_of_deadline(&self, child: Member, budget: Duration) -> Cancelled {
        let detail = Detail { culprit: Some(child), budget: Some(budget), ..Detail::default() };
        Cancelled::new(Reason::Deadline, self.config.origin.clone(), detail)
    }

    /// A notice for a child that is stopped from inside while its scope goes on.
    pub fn notice(&self, request: CancelRequest) -> Cancelled {
        let CancelRequest { reason, cause } = request;
        Cancelled::new(reason, self.config.origin.clone(), Detail { cause, ..Detail::default() })
    }

    // Inputs: time.

    /// Tells the time. Has an effect once the instant of [`next_timer`](Self::next_timer) is reached.
    pub fn tick(&mut self, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        if self.closed {
            return effects;
        }
        self.expire_deadline(now, &mut effects);
        self.expire_grace(now, &mut effects);
        self.expire_patience(now, &mut effects);
        effects
    }

    /// There is no timer to end a grace with: those that run, of the scope and of a daemon, are over.
    pub fn cut_grace(&mut self, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        if self.closed {
            return effects;
        }
        if self.cancelled.is_some() {
            self.stop_at = Some(now);
        }
        if let Some(daemon) = self.stopping_daemon_mut() {
            daemon.stop_at = Some(now);
        }
        self.expire_grace(now, &mut effects);
        effects
    }

    /// Moves the scope's own deadline, later or earlier. Returns `false`, and changes nothing, if
    /// the present one has expired already (an expired deadline cannot be moved) or the scope is
    /// cancelled.
    pub fn set_deadline(&mut self, deadline: Option<Deadline>, now: Instant) -> (bool, Effects<E>) {
        let mut effects = Effects::none();
        let expired = self.deadline().is_some_and(|deadline| deadline.has_passed(now));
        if expired || self.cancelled.is_some() || self.closed {
            return (false, effects);
        }
        let before = self.deadline().cloned();
        self.config.deadline = deadline;
        effects.deadline_moved = self.deadline() != before.as_ref();
        effects.rearm = true;
        (true, effects)
    }

    /// Takes over the deadline that holds for the scope's parent.
    pub fn inherit_deadline(&mut self, deadline: Option<Deadline>) -> Effects<E> {
        let mut effects = Effects::none();
        if self.closed {
            return effects;
        }
        let before = self.deadline().cloned();
        self.inherited_deadline = deadline;
        effects.deadline_moved = self.deadline() != before.as_ref();
        effects.rearm = true;
        effects
    }

    // Getters.

    /// Which scope this is.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Where the scope is in its life.
    pub fn phase(&self) -> Phase {
        if self.closed {
            Phase::Closed
        } else if self.finalizing {
            Phase::Finalizing
        } else if self.refusing {
            Phase::Draining
        } else if self.body == Body::Ended {
            Phase::Closing
        } else {
            Phase::Open
        }
    }

    /// Why it was cancelled, if it was.
    pub const fn cancelled(&self) -> Option<&Cancelled> {
        self.cancelled.as_ref()
    }

    /// When it was cancelled.
    pub const fn cancelled_at(&self) -> Option<Instant> {
        self.cancelled_at
    }

    /// Whether a cancellation would have an effect. A scope that only its finalizers keep from being
    /// closed has nothing left to cancel: finalizers are shielded (P10).
    pub const fn can_be_cancelled(&self) -> bool {
        self.cancelled.is_none() && !self.closed && !self.finalizing
    }

    /// Whether what still runs is to be dropped at its next await.
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// When a cancelled scope's grace ends.
    pub const fn stop_at(&self) -> Option<Instant> {
        self.stop_at
    }

    /// The deadline that holds: the minimum over the enclosing scopes, the outermost of equals.
    pub fn deadline(&self) -> Option<&Deadline> {
        Deadline::effective(self.inherited_deadline.as_ref(), self.config.deadline.as_ref())
    }

    /// A daemon opened this scope, or one above it: it is not told when the scope above the daemon is cancelled, and goes on
    /// until the daemon's turn (P10). So its own deadline is timed even if the inherited one is earlier.
    pub fn told_in_turn(&mut self) {
        self.told_in_turn = true;
    }

    /// Whether [`told_in_turn`](Self::told_in_turn) was said.
    pub const fn is_told_in_turn(&self) -> bool {
        self.told_in_turn
    }

    fn times_deadline(&self) -> bool {
        self.told_in_turn || self.owns_deadline()
    }

    /// Whether the deadline that holds is the scope's own.
    pub fn owns_deadline(&self) -> bool {
        match (&self.inherited_deadline, &self.config.deadline) {
            (Some(outer), Some(own)) => own.at() < outer.at(),
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    /// The next instant at which [`tick`](Self::tick) has something to do.
    ///
    /// An inherited deadline is not in it: its owner's timer expires it and hands it down.
    pub fn next_timer(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let deadline = self.cancelled.is_none() && !self.refusing && self.times_deadline();
        let deadline = self.config.deadline.as_ref().filter(|_| deadline).map(Deadline::at);
        let grace = self.stop_at.filter(|_| !self.stopped);
        let daemon = self.stopping_daemon().filter(|daemon| !daemon.stopped).and_then(|daemon| daemon.stop_at);
        [deadline, grace, daemon].into_iter().flatten().min()
    }

    /// The next instant at which a slow end is worth a message. [`tick`](Self::tick) serves it too;
    /// it is apart since nobody asked for it, so that a runtime without timers may leave it out.
    pub const fn next_warning(&self) -> Option<Instant> {
        self.slow_at
    }

    /// Whether [`drained`](Self::drained) was told.
    pub const fn is_drained(&self) -> bool {
        self.drained
    }

    /// Whether this child is a daemon that has not ended.
    pub fn is_daemon(&self, id: ChildId) -> bool {
        self.daemons.as_ref().is_some_and(|daemons| daemons.all.contains_key(&id))
    }

    /// Daemons that have not ended.
    pub fn daemons(&self) -> usize {
        self.daemons.as_ref().map_or(0, |daemons| daemons.all.len())
    }

    /// The daemon that was spawned last, of those that have not ended.
    pub fn newest_daemon(&self) -> Option<ChildId> {
        self.daemons.as_ref()?.all.last_key_value().map(|(newest, _)| *newest)
    }

    /// When the grace of the daemon ends whose turn it is to stop; `None`: never.
    pub fn daemon_stop_at(&self) -> Option<Instant> {
        self.stopping_daemon().and_then(|daemon| daemon.stop_at)
    }

    /// Finalizers that have not been started.
    pub const fn finalizers(&self) -> usize {
        self.finalizers
    }

    /// How the scope ended, as far as that is decided now.
    pub fn end(&self) -> ScopeEnd {
        ScopeEnd::new(self.kind(), self.cancelled.clone())
    }

    /// The children that the scope refused, and those whose exits it was told.
    pub fn report(&self) -> &Report {
        self.report.as_deref().unwrap_or(Report::EMPTY)
    }

    /// Keeps who was alive when the end took long, for the report.
    pub fn note_stragglers(&mut self, stragglers: Vec<Straggler>) {
        self.report_mut().stragglers = stragglers;
    }

    /// The outcome of a closed scope: the body's value, if there is one, and how many children were
    /// spawned in all (successes are not counted in here).
    pub fn finish<T>(&mut self, value: Option<T>, spawned: u64) -> Outcome<T, E> {
        debug_assert!(self.closed, "a scope has an outcome once it is closed");
        if self.cancelled.is_none() && self.has_primary() && self.log().and_then(FailureLog::primary).is_none() {
            // Somebody took the outcome before, and the failure with it; who comes late is told why.
            self.cancelled = Some(self.notice(CancelRequest::because(Reason::ChildFailed)));
        }
        let kind = self.kind();
        let (records, _, unkept) = self.failures.as_mut().map(|failures| failures.log.take()).unwrap_or_default();
        let (failed_members, failures) = if records.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            records.into_iter().map(|r| (r.member, r.failure)).unzip()
        };
        let mut report = self.report.take();
        if report.is_some() || self.config.opened_at.is_some() || !failed_members.is_empty() {
            let report = report.get_or_insert_default();
            report.duration = std::mem::take(&mut self.duration);
            report.spawned = spawned;
            report.succeeded = spawned.saturating_sub(report.failed + report.panicked + report.cancelled);
            report.failures_unkept = unkept;
            report.failed_members = failed_members;
        }
        Outcome::new(kind, value, failures, self.cancelled.clone(), report)
    }

    fn kind(&self) -> OutcomeKind {
        let by_cancellation = |cancelled: &Cancelled| {
            if cancelled.is_deadline() { OutcomeKind::DeadlineExceeded } else { OutcomeKind::Cancelled }
        };
        match (self.log().and_then(FailureLog::primary), &self.cancelled) {
            (Some(_), _) => OutcomeKind::Failed,
            (None, Some(cancelled)) if self.cut_short || self.has_primary() => by_cancellation(cancelled),
            _ if self.log().is_none_or(FailureLog::is_empty) => OutcomeKind::Ok,
            _ => OutcomeKind::Partial,
        }
    }

    // Shared by the inputs.

    fn report_mut(&mut self) -> &mut Report {
        self.report.get_or_insert_default()
    }

    fn begin_cancel(&mut self, reason: Reason, detail: Detail, now: Instant, effects: &mut Effects<E>) {
        if !self.can_be_cancelled() {
            return;
        }
        let cancelled = Cancelled::new(reason, self.config.origin.clone(), detail);
        self.publish(cancelled, Some(now), now, effects);
    }

    /// The one place where a scope becomes cancelled.
    fn publish(&mut self, cancelled: Cancelled, stop_at: Option<Instant>, now: Instant, effects: &mut Effects<E>) {
        if !self.can_be_cancelled() {
            return;
        }
        let stop_at = match self.config.grace {
            Some(grace) => now.checked_add(grace),
            None => stop_at,
        };
        self.cancelled = Some(cancelled.clone());
        self.cancelled_at = Some(now);
        self.stop_at = stop_at;
        self.refusing = true;
        effects.refuse = true;
        effects.signal = Some(cancelled);
        effects.rearm = true;
        self.start_waiting(now);
        self.expire_grace(now, effects);
    }

    fn future_is_gone(&mut self, reason: Reason, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        if self.future_gone || self.closed {
            return effects;
        }
        self.future_gone = true;
        // Nobody is left to receive the value, so a finalizer must not take the work for done.
        self.cut_short |= !self.finalizing;
        effects.adopt = true;
        self.body = Body::Ended;
        self.begin_cancel(reason, Detail::default(), now, &mut effects);
        effects
    }

    fn expire_deadline(&mut self, now: Instant, effects: &mut Effects<E>) {
        // Out of ordinary children, there is nothing left that a deadline could cut short.
        if self.drained || !self.times_deadline() {
            return;
        }
        let Some(budget) = self.config.deadline.as_ref().filter(|d| d.has_passed(now)).map(Deadline::budget) else {
            return;
        };
        self.begin_cancel(Reason::Deadline, Detail { budget, ..Detail::default() }, now, effects);
    }

    fn shorten_grace(&mut self, at: Option<Instant>, now: Instant, effects: &mut Effects<E>) {
        if self.cancelled.is_none() || self.closed {
            return;
        }
        let earlier = |present: Option<Instant>| [present, at].into_iter().flatten().min();
        self.stop_at = earlier(self.stop_at);
        if let Some(daemon) = self.stopping_daemon_mut().filter(|daemon| !daemon.has_own_grace) {
            daemon.stop_at = earlier(daemon.stop_at);
        }
        effects.rearm = true;
        self.expire_grace(now, effects);
    }

    fn expire_grace(&mut self, now: Instant, effects: &mut Effects<E>) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.cancelled.is_some() && !self.stopped && due(self.stop_at) {
            self.stopped = true;
            effects.stop = true;
        }
        if let Some(daemon) = self.stopping_daemon_mut().filter(|daemon| !daemon.stopped && due(daemon.stop_at)) {
            daemon.stopped = true;
            effects.stop_daemon = Some(daemon.id);
        }
    }

    fn expire_patience(&mut self, now: Instant, effects: &mut Effects<E>) {
        let (Some(at), Some(since)) = (self.slow_at, self.waiting_since) else { return };
        if at > now {
            return;
        }
        self.slow_at = now.checked_add(self.config.warn_after.max(Duration::from_millis(1)));
        effects.rearm = true;
        effects.slow = Some(crate::Slow { draining: self.refusing, waited: now.saturating_duration_since(since) });
    }

    /// From here on the scope only waits for others; after `warn_after` that is worth a message.
    fn start_waiting(&mut self, now: Instant) {
        self.waiting_since = Some(now);
        self.slow_at = now.checked_add(self.config.warn_after);
    }
}

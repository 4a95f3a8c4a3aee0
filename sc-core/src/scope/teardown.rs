//! The one order in which every scope ends (P10): ordinary children all at once, then daemons one
//! by one, newest first, then finalizers last-in-first-out.

use std::time::{Duration, Instant};

use super::lists::{Daemon, Failures, StoppingDaemon};
use super::{Body, Scope};
use crate::cancelled::Detail;
use crate::{Cancelled, ChildId, Deadline, Effects, FailureRecord, Member, Reason};

impl<E> Scope<E> {
    /// Admits a daemon, with a grace of its own or with the scope's; `false` if the scope accepts no children any more.
    #[must_use]
    pub fn admit_daemon(&mut self, id: ChildId, grace: Option<Duration>) -> bool {
        if self.refusing {
            return false;
        }
        let daemons = self.daemons.get_or_insert_default();
        daemons.all.insert(id, Daemon { grace, ..Daemon::default() }).is_none()
    }

    /// A daemon opened a scope. Like the daemon itself, that does not hold this scope open; but the
    /// daemon counts as ended only when such scopes are closed, however it left them (P3). The same
    /// holds for an output of a daemon that the binding has to drop (P1). `false`: it has ended.
    pub fn daemon_scope_opened(&mut self, id: ChildId) -> bool {
        self.daemon_mut(id).map(|daemon| daemon.scopes += 1).is_some()
    }

    /// A scope that a daemon opened is closed.
    pub fn daemon_scope_closed(&mut self, id: ChildId, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        if let Some(daemon) = self.daemon_mut(id) {
            debug_assert!(daemon.scopes > 0, "a scope of a daemon closes once");
            daemon.scopes -= 1;
            self.settle_daemon(id, now, &mut effects);
        }
        effects
    }

    /// Counts a finalizer in; `false` if the finalizers have begun to run or the scope is closed.
    #[must_use]
    pub fn admit_finalizer(&mut self) -> bool {
        if self.finalizing || self.closed {
            return false;
        }
        self.finalizers += 1;
        true
    }

    /// The body returned a value, and nobody else is there: [`body_ended`](Self::body_ended) and
    /// [`drained`](Self::drained) at once, for a scope that has nothing to wait for, to judge, to stop or to run. `None`, and
    /// nothing has changed, if it has, or if its own deadline has passed. The clock is asked only if that or the report needs it.
    pub fn ended_alone(&mut self, now: impl FnOnce() -> Instant) -> Option<Effects<E>> {
        let is_open = self.body == Body::Running && !self.drained && self.cancelled.is_none();
        let is_alone = self.daemons() == 0 && self.finalizers == 0 && !self.is_judging();
        if !is_open || !is_alone {
            return None;
        }
        let asks = self.config.deadline.is_some() || self.config.opened_at.is_some();
        let now = asks.then(now);
        let is_late = |deadline: &Deadline| now.is_some_and(|now| deadline.has_passed(now));
        if self.config.deadline.as_ref().is_some_and(is_late) {
            // Which of the two came first is for the longer way to say.
            return None;
        }
        let mut effects = Effects::none();
        self.body = Body::Ended;
        self.drained = true;
        self.refusing = true;
        effects.refuse = true;
        self.keep_unclaimed(&mut effects);
        self.closed = true;
        let opened = self.config.opened_at.zip(now);
        self.duration = opened.map_or(Duration::ZERO, |(at, now)| now.saturating_duration_since(at));
        effects.closed = true;
        Some(effects)
    }

    /// The body and every ordinary child have ended. From here on nobody can be admitted.
    pub fn drained(&mut self, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        if self.drained {
            return effects;
        }
        debug_assert!(self.body == Body::Ended, "the body holds its scope open");
        self.drained = true;
        if !self.refusing {
            self.refusing = true;
            effects.refuse = true;
        }
        if self.cancelled.is_some() {
            self.stopped = true;
        }
        self.advance(now, &mut effects);
        effects
    }

    /// The finalizer that ran has ended, with a failure or without.
    pub fn finalizer_ended(&mut self, failure: Option<crate::Failure<E>>, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        debug_assert!(self.finalizing && !self.closed, "a finalizer ends while finalizers run");
        if let Some(failure) = failure {
            self.fail_finalizer(FailureRecord { member: Member::finalizer(), failure }, &mut effects);
        }
        self.next_step(now, &mut effects);
        effects
    }

    /// The runtime ended: what is left can never run. Closes a drained scope at once, and says how
    /// many finalizers were dropped unrun (the one exception of P10).
    pub fn runtime_ended(&mut self, now: Instant) -> (usize, Effects<E>) {
        let mut effects = Effects::none();
        if self.closed || !self.drained {
            return (0, effects);
        }
        let unrun = std::mem::take(&mut self.finalizers) + usize::from(self.finalizing);
        self.daemons = None;
        self.close(now, &mut effects);
        (unrun, effects)
    }

    pub(super) fn daemon_exited(&mut self, id: ChildId, now: Instant, effects: &mut Effects<E>) {
        if let Some(daemon) = self.daemon_mut(id) {
            daemon.exited = true;
        }
        self.settle_daemon(id, now, effects);
    }

    fn settle_daemon(&mut self, id: ChildId, now: Instant, effects: &mut Effects<E>) {
        if let Some(daemons) = &mut self.daemons {
            if daemons.all.get(&id).is_some_and(|daemon| !daemon.exited || daemon.scopes > 0) {
                return;
            }
            daemons.all.remove(&id);
            daemons.stopping.take_if(|daemon| daemon.id == id);
        }
        self.advance(now, effects);
    }

    fn daemon_mut(&mut self, id: ChildId) -> Option<&mut Daemon> {
        self.daemons.as_mut()?.all.get_mut(&id)
    }

    /// Takes the next step of the teardown, if one is due.
    pub(super) fn advance(&mut self, now: Instant, effects: &mut Effects<E>) {
        // Exits that the policy has yet to judge are part of the outcome.
        let is_judging = self.is_judging();
        if self.drained && self.stopping_daemon().is_none() && !self.finalizing && !self.closed && !is_judging {
            self.next_step(now, effects);
        }
    }

    fn next_step(&mut self, now: Instant, effects: &mut Effects<E>) {
        if let Some(newest) = self.newest_daemon() {
            self.stop_daemon(newest, now, effects);
        } else if self.finalizers > 0 {
            self.keep_unclaimed(effects);
            self.finalizers -= 1;
            self.finalizing = true;
            effects.run_finalizer = true;
        } else {
            self.close(now, effects);
        }
    }

    fn is_judging(&self) -> bool {
        let is_judging = |failures: &Failures<E>| failures.judging.is_some() || !failures.to_judge.is_empty();
        self.failures.as_deref().is_some_and(is_judging)
    }

    fn stop_daemon(&mut self, id: ChildId, now: Instant, effects: &mut Effects<E>) {
        let cancelled = match &self.cancelled {
            Some(cancelled) => cancelled.clone(),
            None => Cancelled::new(Reason::WorkDone, self.config.origin.clone(), Detail::default()),
        };
        if self.waiting_since.is_none() {
            self.start_waiting(now);
        }
        let own = self.daemon_mut(id).and_then(|daemon| daemon.grace);
        let stop_at = match (own.or(self.config.grace), &self.cancelled) {
            (Some(grace), _) => now.checked_add(grace),
            (None, Some(_)) => self.stop_at,
            (None, None) => Some(now),
        };
        let stopping = StoppingDaemon { id, stop_at, has_own_grace: own.is_some(), stopped: false };
        self.daemons.get_or_insert_default().stopping = Some(stopping);
        effects.signal_daemon = Some((id, cancelled));
        effects.rearm = true;
        self.expire_grace(now, effects);
    }

    fn close(&mut self, now: Instant, effects: &mut Effects<E>) {
        self.keep_unclaimed(effects);
        // Only the end of the runtime leaves exits unjudged.
        while let Some(exit) = self.failures.as_mut().and_then(|failures| failures.to_judge.pop_front()) {
            if let Some(failure) = exit.failure {
                self.keep(FailureRecord { member: exit.member, failure }, effects);
            }
        }
        self.closed = true;
        self.finalizing = false;
        self.slow_at = None;
        self.duration = self.config.opened_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        if let Some(at) = self.cancelled_at {
            self.report_mut().drained_in = Some(now.saturating_duration_since(at));
        }
        effects.closed = true;
    }

    /// Every handle is gone when the children are: what nobody claimed is the outcome's.
    fn keep_unclaimed(&mut self, effects: &mut Effects<E>) {
        while let Some((_, record)) = self.failures.as_mut().and_then(|failures| failures.claimable.pop_first()) {
            self.keep(record, effects);
        }
    }

    /// A finalizer's failure ends an otherwise successful scope, and masks no earlier one.
    fn fail_finalizer(&mut self, record: FailureRecord<E>, effects: &mut Effects<E>) {
        if self.cancelled.is_some() || self.has_primary() {
            self.keep(record, effects);
        } else {
            self.failures_mut().log.push_primary(record);
        }
    }
}

//! Exits: who owns a failure, and which one decides (P4, P5).

use std::time::Instant;

use super::{Body, BodyEnd, ChildKind, Claim, End, Exit, QueuedExit, Scope, Told};
use crate::cancelled::Detail;
use crate::{Cancelled, ChildId, Effects, Failure, FailureRecord, Member, Panic, Reason, Verdict, Watch};

/// What the scope does about one exit's failures.
enum Judgement {
    /// The first failure is the scope's.
    Decide,
    /// It is secondary: kept, and nothing else.
    Keep,
    /// It belongs to whoever joins the child.
    Leave,
    /// The policy has to be asked.
    Ask,
}

impl<E> Scope<E> {
    /// Whether the policy asks about successes, so that every exit has to be reported with
    /// [`child_exited`](Self::child_exited).
    pub fn watches_successes(&self) -> bool {
        self.config.watch == Watch::All
    }

    /// Counts a child that was refused (P7). It makes a cancelled scope's work incomplete.
    pub fn note_refused(&mut self) {
        self.report_mut().refused += 1;
        self.cut_short |= self.cancelled.is_some();
    }

    /// A child ended. Successes of ordinary children are counted by the binding and reported only
    /// if [`watches_successes`](Self::watches_successes).
    pub fn child_exited(
        &mut self,
        id: ChildId,
        kind: ChildKind,
        member: &Member,
        exit: Exit<E>,
        now: Instant,
    ) -> Effects<E> {
        let mut effects = Effects::none();
        let Exit { end, destructor, told } = exit;
        let failures_before = self.failures.as_ref().map_or(0, |failures| failures.children);
        self.tally(&end, destructor.is_some());
        let runtime_ended = matches!(end, End::RuntimeEnded);
        // A daemon is stopped from inside, whoever ended the work it accompanied.
        self.cut_short |= runtime_ended || (matches!(end, End::Cut) && !kind.daemon);
        let mut failures = ranked(self.failure_of(end, told), destructor);
        if let Some(failure) = failures.next() {
            let queued = QueuedExit { id, member: member.clone(), failure: Some(failure), failures_before };
            self.place_failure(kind, told, queued, now, &mut effects);
        } else if self.watches_successes() && self.cancelled.is_none() && !kind.isolated {
            let queued = QueuedExit { id, member: member.clone(), failure: None, failures_before };
            self.failures_mut().to_judge.push_back(queued);
            effects.judge = true;
        }
        for failure in failures {
            self.keep(FailureRecord { member: member.clone(), failure }, &mut effects);
        }
        if runtime_ended {
            self.begin_cancel(Reason::RuntimeEnded, Detail::default(), now, &mut effects);
        }
        if kind.daemon {
            self.daemon_exited(id, now, &mut effects);
        }
        effects
    }

    /// An ordinary child was stopped since the scope was, and nothing more: what
    /// [`child_exited`](Self::child_exited) does with a plain [`End::Cut`], which decides nothing and
    /// takes no time.
    pub fn child_cut(&mut self) {
        debug_assert!(self.cancelled.is_some(), "children are cut by a cancellation");
        self.report_mut().cancelled += 1;
        self.cut_short = true;
    }

    /// Gives a child's failure its one owner.
    fn place_failure(
        &mut self,
        kind: ChildKind,
        told: Told,
        exit: QueuedExit<E>,
        now: Instant,
        effects: &mut Effects<E>,
    ) {
        // Children stopped from inside never turn an `Ok` into an `Err` (P5).
        self.cut_short |= self.cancelled.is_some() && !kind.isolated && told != Told::FromInside;
        match self.judgement(kind, told) {
            Judgement::Ask => {
                self.failures_mut().to_judge.push_back(exit);
                effects.judge = true;
            }
            judgement => {
                let QueuedExit { id, member, failure: Some(failure), .. } = exit else { return };
                let record = FailureRecord { member, failure };
                match judgement {
                    Judgement::Decide => self.decide(record, Reason::ChildFailed, now, effects),
                    Judgement::Keep => self.keep(record, effects),
                    Judgement::Leave | Judgement::Ask => self.leave(id, record, effects),
                }
            }
        }
    }

    /// The body returned, panicked or was dropped. Its own failure always ends the scope: policies
    /// judge children.
    pub fn body_ended(&mut self, end: BodyEnd<E>, destructor: Option<Panic>, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        if self.body == Body::Ended {
            // The scope went on without it when its frame ended (P3); nothing is lost all the same (P4).
            let failure = if let BodyEnd::Failed(failure) = end { Some(failure) } else { None };
            for failure in ranked(failure, destructor) {
                self.keep(FailureRecord { member: Member::body(), failure }, &mut effects);
            }
            return effects;
        }
        self.body = Body::Ended;
        let failure = match end {
            BodyEnd::Value => None,
            BodyEnd::Failed(failure) => Some(failure),
            BodyEnd::Cut => {
                self.cut_short = true;
                None
            }
            BodyEnd::AwaitedDead => {
                self.cut_short = true;
                self.begin_cancel(Reason::AwaitedChild, Detail::default(), now, &mut effects);
                None
            }
        };
        for failure in ranked(failure, destructor) {
            // Without a value of the body, a cancelled scope has been cut short.
            self.cut_short |= self.cancelled.is_some();
            self.fail(FailureRecord { member: Member::body(), failure }, now, &mut effects);
        }
        if self.cancelled.is_none() {
            self.start_waiting(now);
            effects.rearm = true;
        }
        effects
    }

    /// A failure that nobody but the scope can own: of a finalizer, of an output's destructor.
    pub fn failed(&mut self, record: FailureRecord<E>, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        self.fail(record, now, &mut effects);
        effects
    }

    /// A failure came back from a handle that could not use it: it joins the further failures.
    pub fn unclaimed(&mut self, record: FailureRecord<E>) -> Effects<E> {
        let mut effects = Effects::none();
        self.keep(record, &mut effects);
        effects
    }

    // Claims.

    /// What the handle of a failed child gets. Call it after the child's exit was reported.
    pub fn claim(&mut self, id: ChildId) -> Claim<E> {
        let Some(failures) = self.failures.as_mut() else { return Claim::OwnedByScope };
        if let Some(record) = failures.claimable.remove(&id) {
            return Claim::Failure(record.failure);
        }
        if failures.judging == Some(id) || failures.to_judge.iter().any(|exit| exit.id == id) {
            return Claim::Pending;
        }
        Claim::OwnedByScope
    }

    /// The child `id` has a handle that may claim its failure. To be called when the child is
    /// spawned, if [`handles_matter`](Self::handles_matter).
    pub fn expect_claim(&mut self, id: ChildId) {
        self.failures_mut().handles.insert(id);
    }

    /// The handle of a child is gone: a failure it left unread, or that the child will have, goes
    /// to the further failures.
    pub fn release(&mut self, id: ChildId) -> Effects<E> {
        let mut effects = Effects::none();
        let unread = self.failures.as_mut().and_then(|failures| {
            failures.handles.remove(&id);
            failures.claimable.remove(&id)
        });
        if let Some(record) = unread {
            self.keep(record, &mut effects);
        }
        effects
    }

    /// Whether a child of this kind can have a failure that belongs to its handle.
    pub fn handles_matter(&self, kind: ChildKind) -> bool {
        kind.isolated || self.config.watch != Watch::FailFast
    }

    // The policy's turn.

    /// The next exit to judge, in the order they happened. The binding asks the policy without the
    /// lock, one exit at a time, and reports with [`judged`](Self::judged).
    pub fn next_exit_to_judge(&mut self) -> Option<QueuedExit<E>> {
        let failures = self.failures.as_mut()?;
        debug_assert!(failures.judging.is_none(), "one judge at a time");
        let exit = failures.to_judge.pop_front()?;
        failures.judging = Some(exit.id);
        Some(exit)
    }

    /// The policy has judged an exit, or panicked over it.
    pub fn judged(&mut self, exit: QueuedExit<E>, verdict: Result<Verdict, Panic>, now: Instant) -> Effects<E> {
        let mut effects = Effects::none();
        let QueuedExit { id, member, failure, .. } = exit;
        self.failures_mut().judging = None;
        effects.settled = true;
        let record = failure.map(|failure| FailureRecord { member: member.clone(), failure });
        let verdict = verdict.unwrap_or_else(|panic| {
            let record = FailureRecord { member: Member::policy(), failure: Failure::Panic(panic) };
            self.fail(record, now, &mut effects);
            Verdict::Cancel
        });
        match (record, verdict) {
            (Some(record), Verdict::Continue) => self.leave(id, record, &mut effects),
            (Some(record), Verdict::Cancel) if self.cancelled.is_none() => {
                self.decide(record, Reason::Policy, now, &mut effects);
            }
            (Some(record), _) => self.keep(record, &mut effects),
            (None, Verdict::Continue) => {}
            (None, Verdict::Cancel) => {
                let detail = Detail { culprit: Some(member), ..Detail::default() };
                self.begin_cancel(Reason::Policy, detail, now, &mut effects);
            }
        }
        self.advance(now, &mut effects);
        effects
    }

    /// A failure that is not the scope's belongs to the handle, if there still is one.
    fn leave(&mut self, id: ChildId, record: FailureRecord<E>, effects: &mut Effects<E>) {
        match self.failures.as_mut().filter(|failures| failures.handles.contains(&id)) {
            Some(failures) => {
                failures.claimable.insert(id, record);
            }
            None => self.keep(record, effects),
        }
    }

    fn judgement(&self, kind: ChildKind, told: Told) -> Judgement {
        if kind.isolated {
            return Judgement::Leave;
        }
        let secondary = told != Told::Nobody || self.cancelled.is_some();
        match self.config.watch {
            Watch::Supervise => Judgement::Leave,
            Watch::FailFast if secondary => Judgement::Keep,
            Watch::FailFast => Judgement::Decide,
            Watch::Failures | Watch::All if secondary => Judgement::Leave,
            Watch::Failures | Watch::All => Judgement::Ask,
        }
    }

    /// A child that ended without a value and without an error may still have a failure.
    fn failure_of(&mut self, end: End<E>, told: Told) -> Option<Failure<E>> {
        match end {
            End::Failed(failure) => Some(failure),
            End::Value | End::Cut | End::Stopped | End::RuntimeEnded => None,
            End::AwaitedDead if self.cancelled.is_some() => {
                self.cut_short |= told != Told::FromInside;
                None
            }
            End::AwaitedDead => {
                let origin = self.config.origin.clone();
                Some(Failure::Cancelled(Cancelled::new(Reason::AwaitedChild, origin, Detail::default())))
            }
        }
    }

    fn tally(&mut self, end: &End<E>, destructor_panicked: bool) {
        if matches!(end, End::Value) && !destructor_panicked {
            return;
        }
        let report = self.report_mut();
        let counter = match end {
            _ if destructor_panicked => &mut report.panicked,
            End::Failed(Failure::Panic(_)) => &mut report.panicked,
            End::Failed(_) => &mut report.failed,
            End::Value | End::Cut | End::Stopped | End::AwaitedDead | End::RuntimeEnded => &mut report.cancelled,
        };
        *counter += 1;
        if destructor_panicked || matches!(end, End::Failed(_)) {
            self.failures_mut().children += 1;
        }
    }

    /// A failure that needs no policy: decides, unless something decided before.
    fn fail(&mut self, record: FailureRecord<E>, now: Instant, effects: &mut Effects<E>) {
        if self.cancelled.is_some() || self.has_primary() {
            self.keep(record, effects);
        } else {
            self.decide(record, Reason::ChildFailed, now, effects);
        }
    }

    /// The first failure that the policy does not continue past is primary, and cancels (P5).
    fn decide(&mut self, record: FailureRecord<E>, reason: Reason, now: Instant, effects: &mut Effects<E>) {
        if self.closed {
            // Too late to decide anything, and the outcome may have been taken already.
            return self.keep(record, effects);
        }
        let detail = Detail { culprit: Some(record.member.clone()), ..Detail::default() };
        if let Failure::Cancelled(cancelled) = &record.failure {
            // Not a failure of its own: the scope ends with the same reason.
            self.cut_short = true;
            let (reason, budget) = (cancelled.reason(), cancelled.budget());
            self.begin_cancel(reason, Detail { budget, ..detail }, now, effects);
            return;
        }
        self.failures_mut().log.push_primary(record);
        self.begin_cancel(reason, detail, now, effects);
    }

    pub(super) fn keep(&mut self, record: FailureRecord<E>, effects: &mut Effects<E>) {
        if self.closed {
            // The outcome may have been taken already.
            effects.unkept.push(record);
        } else {
            effects.unkept.extend(self.failures_mut().log.push(record));
        }
    }
}

/// The failures of one moment, the primary one first: panic, error, cancellation (P5).
fn ranked<E>(failure: Option<Failure<E>>, destructor: Option<Panic>) -> impl Iterator<Item = Failure<E>> {
    let destructor = destructor.map(Failure::Panic);
    let swap = matches!((&failure, &destructor), (Some(a), Some(b)) if b.rank() < a.rank());
    let both = if swap { [destructor, failure] } else { [failure, destructor] };
    both.into_iter().flatten()
}

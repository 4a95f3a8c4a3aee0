//! The production value, behind a layer thin enough to plant bugs in.
//!
//! Without a fault every method passes its input to the `Scope` and hands back what it said. With
//! one, exactly one decision is falsified: the checker that watches has to notice, else it proves
//! nothing about the correct value either.

use std::time::{Duration, Instant};

use sc_core::{
    BodyEnd, CancelRequest, Cancelled, ChildId, ChildKind, Claim, Config, Deadline, Effects, End, Exit, Failure,
    FailureRecord, Member, OutcomeKind, Panic, QueuedExit, Report, Scope, Told, Verdict,
};

use super::words::Tag;

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    SecondReasonWins,
    ReasonNotInherited,
    AdoptLost,
    CountReleasedWithTheFuture,
    RefuseNotPerformed,
    StopBeforeGraceEnd,
    StopLost,
    TimerNotArmed,
    DaemonsOldestFirst,
    DaemonGraceIgnored,
    FinalizersBeforeDaemons,
    FinalizersFirstInFirstOut,
    SecondaryPromoted,
    SecondaryLost,
    ClaimedFailureKept,
    StoppedFromInsideCountsAsCut,
    ValueThrownAway,
    OuterDeadlineNotInherited,
    ClosedWithDaemonsAlive,
    ShutDownKeepsTheGrace,
    ShutDownReplacesTheReason,
    ShutDownCutsDaemonsShort,
    HastenLost,
    HastenStopsAtOnce,
    HastenDespiteOwnGrace,
    CutGraceLost,
    CutGraceSparesDaemons,
    StartedStaysIsolated,
    StartingIsLinked,
    OwnerStays,
    TimeoutNamesNobody,
    TimeoutIsForgiven,
    SecondInheritWins,
    ShieldLetsThrough,
    ShieldLeavesAGrace,
    ClosedScopeStops,
    LateFailureIsLost,
    OutcomeIsTakenTwice,
}

/// What a closed scope handed over, its failures as tags.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) kind: OutcomeKind,
    pub(crate) value: Option<u8>,
    pub(crate) failures: Vec<Option<Tag>>,
    pub(crate) cancelled: bool,
    pub(crate) report: Report,
}

impl Ending {
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self.kind, OutcomeKind::Ok | OutcomeKind::Partial)
    }
}

#[derive(Debug)]
pub(crate) struct Machine {
    scope: Scope<Tag>,
    fault: Option<Fault>,
    daemons: Vec<ChildId>,
    /// The outcome was.
    taken: bool,
}

impl Machine {
    pub(crate) fn new(config: Config, fault: Option<Fault>) -> Self {
        Self { scope: Scope::new(config), fault, daemons: Vec::new(), taken: false }
    }

    /// For everything that only looks.
    pub(crate) const fn get(&self) -> &Scope<Tag> {
        &self.scope
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Where effects are dropped and falsified.
    fn tamper(&mut self, mut effects: Effects<Tag>) -> Effects<Tag> {
        match self.fault {
            Some(Fault::AdoptLost) => effects.adopt = false,
            Some(Fault::RefuseNotPerformed) => effects.refuse = false,
            Some(Fault::StopBeforeGraceEnd) if effects.signal.is_some() => effects.stop = true,
            Some(Fault::StopLost) => effects.stop = false,
            Some(Fault::TimerNotArmed) => effects.rearm = false,
            Some(Fault::DaemonsOldestFirst) => {
                if let (Some((id, _)), Some(oldest)) = (&mut effects.signal_daemon, self.daemons.first()) {
                    *id = *oldest;
                }
            }
            Some(Fault::FinalizersBeforeDaemons) if effects.signal_daemon.is_some() => {
                effects.signal_daemon = None;
                effects.run_finalizer = true;
            }
            Some(Fault::ClosedWithDaemonsAlive) if effects.signal_daemon.is_some() => effects.closed = true,
            _ => {}
        }
        effects
    }

    pub(crate) fn cancel(&mut self, request: CancelRequest, now: Instant) -> Effects<Tag> {
        if self.has(Fault::SecondReasonWins) && self.scope.cancelled().is_some() {
            let mut other = Scope::<Tag>::new(self.scope.config().clone());
            return other.cancel(request, now);
        }
        let effects = self.scope.cancel(request, now);
        self.tamper(effects)
    }

    pub(crate) fn inherit(&mut self, cancelled: &Cancelled, stop_at: Option<Instant>, now: Instant) -> Effects<Tag> {
        let late = stop_at.map(|at| at + Duration::from_secs(1)).filter(|_| self.has(Fault::ShieldLeavesAGrace));
        let stop_at = late.or(stop_at);
        if self.has(Fault::SecondInheritWins)
            && self.scope.cancelled().is_some()
            && self.scope.phase() != sc_core::Phase::Closed
        {
            let mut other = Scope::<Tag>::new(self.scope.config().clone());
            return other.inherit(cancelled, stop_at, now);
        }
        let effects = if self.has(Fault::ReasonNotInherited) {
            self.scope.cancel(CancelRequest::because(cancelled.reason()), now)
        } else {
            self.scope.inherit(cancelled, stop_at, now)
        };
        self.tamper(effects)
    }

    pub(crate) fn inherit_deadline(&mut self, deadline: Option<Deadline>) -> Effects<Tag> {
        let deadline = deadline.filter(|_| !self.has(Fault::OuterDeadlineNotInherited));
        let effects = self.scope.inherit_deadline(deadline);
        self.tamper(effects)
    }

    pub(crate) fn set_deadline(&mut self, deadline: Option<Deadline>, now: Instant) -> (bool, Effects<Tag>) {
        let (moved, effects) = self.scope.set_deadline(deadline, now);
        (moved, self.tamper(effects))
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Effects<Tag> {
        let effects = self.scope.tick(now);
        self.tamper(effects)
    }

    pub(crate) fn future_dropped(&mut self, now: Instant) -> Effects<Tag> {
        let effects = self.scope.future_dropped(now);
        self.tamper(effects)
    }

    pub(crate) fn opener_ended(&mut self, now: Instant) -> Effects<Tag> {
        let effects = self.scope.opener_ended(now);
        self.tamper(effects)
    }

    pub(crate) fn drained(&mut self, now: Instant) -> Effects<Tag> {
        let effects = self.scope.drained(now);
        self.tamper(effects)
    }

    pub(crate) fn child_exited(
        &mut self,
        id: ChildId,
        mut kind: ChildKind,
        mut exit: Exit<Tag>,
        now: Instant,
    ) -> Effects<Tag> {
        kind.isolated = kind.isolated && !self.has(Fault::StartingIsLinked) || self.has(Fault::StartedStaysIsolated);
        if self.has(Fault::TimeoutIsForgiven) && matches!(exit.end, End::Failed(Failure::Cancelled(_))) {
            exit.end = End::Stopped;
        }
        if self.has(Fault::SecondaryLost) && exit.told == Told::ByScope && matches!(exit.end, End::Failed(_)) {
            exit.end = End::Cut;
        }
        if self.has(Fault::StoppedFromInsideCountsAsCut) && matches!(exit.end, End::Stopped) {
            exit.end = End::Cut;
        }
        self.daemons.retain(|daemon| *daemon != id);
        let effects = self.scope.child_exited(id, kind, &Member::child(id), exit, now);
        self.tamper(effects)
    }

    pub(crate) fn body_ended(&mut self, end: BodyEnd<Tag>, destructor: Option<Panic>, now: Instant) -> Effects<Tag> {
        if self.has(Fault::OwnerStays) && self.scope.cancelled().is_some() && matches!(end, BodyEnd::Value) {
            return self.nothing(now);
        }
        let effects = self.scope.body_ended(end, destructor, now);
        self.tamper(effects)
    }

    pub(crate) fn ended_alone(&mut self, now: Instant) -> Option<Effects<Tag>> {
        let effects = self.scope.ended_alone(|| now)?;
        Some(self.tamper(effects))
    }

    pub(crate) fn failed(&mut self, record: FailureRecord<Tag>, now: Instant) -> Effects<Tag> {
        let mut effects = self.scope.failed(record, now);
        if self.has(Fault::LateFailureIsLost) && self.scope.phase() == sc_core::Phase::Closed {
            effects.unkept.clear();
        }
        self.tamper(effects)
    }

    pub(crate) fn finalizer_ended(&mut self, failure: Option<Failure<Tag>>, now: Instant) -> Effects<Tag> {
        let effects = self.scope.finalizer_ended(failure, now);
        self.tamper(effects)
    }

    pub(crate) fn judged(
        &mut self,
        exit: QueuedExit<Tag>,
        verdict: Result<Verdict, Panic>,
        now: Instant,
    ) -> Effects<Tag> {
        let effects = self.scope.judged(exit, verdict, now);
        self.tamper(effects)
    }

    pub(crate) fn next_exit_to_judge(&mut self) -> Option<QueuedExit<Tag>> {
        self.scope.next_exit_to_judge()
    }

    pub(crate) fn claim(&mut self, id: ChildId) -> Claim<Tag> {
        let claim = self.scope.claim(id);
        if let (Claim::Failure(failure), true) = (&claim, self.has(Fault::ClaimedFailureKept)) {
            if let Some(tag) = Tag::of(failure) {
                let record = FailureRecord { member: tag.member(), failure: tag.failure() };
                drop(self.scope.unclaimed(record).unkept);
            }
        }
        claim
    }

    pub(crate) fn expect_claim(&mut self, id: ChildId) {
        self.scope.expect_claim(id);
    }

    pub(crate) fn release(&mut self, id: ChildId) -> Effects<Tag> {
        let effects = self.scope.release(id);
        self.tamper(effects)
    }

    pub(crate) fn unclaimed(&mut self, record: FailureRecord<Tag>) -> Effects<Tag> {
        let effects = self.scope.unclaimed(record);
        self.tamper(effects)
    }

    pub(crate) fn admit_daemon(&mut self, id: ChildId, grace: Option<Duration>) -> bool {
        let grace = grace.filter(|_| !self.has(Fault::DaemonGraceIgnored));
        let admitted = self.scope.admit_daemon(id, grace);
        self.daemons.extend(admitted.then_some(id));
        admitted
    }

    pub(crate) fn runtime_ended(&mut self, now: Instant) -> (usize, Effects<Tag>) {
        let (unrun, effects) = self.scope.runtime_ended(now);
        (unrun, self.tamper(effects))
    }

    pub(crate) fn admit_finalizer(&mut self) -> bool {
        self.scope.admit_finalizer()
    }

    pub(crate) fn note_refused(&mut self) {
        self.scope.note_refused();
    }

    pub(crate) fn finish(&mut self, value: Option<u8>, spawned: u64) -> Ending {
        let value = value.filter(|_| !self.has(Fault::ValueThrownAway));
        let outcome = self.scope.finish(value, spawned);
        let second = self.taken && self.has(Fault::OutcomeIsTakenTwice);
        let kind = if second { OutcomeKind::Ok } else { outcome.kind() };
        let value = outcome.value().copied();
        let report = outcome.report().clone();
        let cancelled = outcome.cancelled().is_some();
        let mut failures: Vec<_> = outcome.into_failures().iter().map(Tag::of).collect();
        if self.has(Fault::SecondaryPromoted) && failures.len() > 1 {
            failures.swap(0, 1);
        }
        let ending = Ending { kind, value, failures, cancelled, report };
        self.taken = true;
        ending
    }
}

/// Ends that somebody else sets.
impl Machine {
    pub(crate) fn stop_by(&mut self, request: CancelRequest, at: Option<Instant>, now: Instant) -> Effects<Tag> {
        if self.has(Fault::ShutDownKeepsTheGrace) {
            return self.cancel(request, now);
        }
        if self.has(Fault::ShutDownReplacesTheReason) && self.scope.cancelled().is_some() {
            let mut other = Scope::<Tag>::new(self.scope.config().clone());
            return other.stop_by(request, at, now);
        }
        let mut effects = self.scope.stop_by(request, at, now);
        if self.has(Fault::ShutDownCutsDaemonsShort) {
            effects.stop_daemon = self.scope.cut_grace(now).stop_daemon.or(effects.stop_daemon);
        }
        self.tamper(effects)
    }

    pub(crate) fn hasten(&mut self, at: Option<Instant>, now: Instant) -> Effects<Tag> {
        if self.has(Fault::HastenLost) {
            return self.nothing(now);
        }
        let at = if self.has(Fault::HastenStopsAtOnce) { Some(now) } else { at };
        if self.has(Fault::HastenDespiteOwnGrace) && self.scope.config().grace.is_some() {
            return self.scope.cut_grace(now);
        }
        let effects = self.scope.hasten(at, now);
        self.tamper(effects)
    }

    pub(crate) fn cut_grace(&mut self, now: Instant) -> Effects<Tag> {
        if self.has(Fault::CutGraceLost) {
            return self.nothing(now);
        }
        let mut effects = self.scope.cut_grace(now);
        effects.stop |= self.has(Fault::ClosedScopeStops) && self.scope.phase() == sc_core::Phase::Closed;
        effects.stop_daemon = effects.stop_daemon.filter(|_| !self.has(Fault::CutGraceSparesDaemons));
        self.tamper(effects)
    }

    pub(crate) fn notice(&self, request: CancelRequest) -> Cancelled {
        self.scope.notice(request)
    }

    pub(crate) fn notice_of_deadline(&self, child: Member, budget: Duration) -> Cancelled {
        if self.has(Fault::TimeoutNamesNobody) {
            return self.scope.notice(CancelRequest::because(sc_core::Reason::Deadline));
        }
        self.scope.notice_of_deadline(child, budget)
    }

    /// Effects of an input that was lost: of one that has none.
    fn nothing(&self, now: Instant) -> Effects<Tag> {
        Scope::new(self.scope.config().clone()).hasten(None, now)
    }
}

//! Single steps towards the end of a scope: the cases that the exhaustive search meets among many others, each alone.

use std::panic::Location;
use std::time::{Duration, Instant};

use sc_core::{
    BodyEnd, CancelRequest, ChildId, ChildKind, Config, Deadline, End, Exit, Failure, Member, Origin, OutcomeKind,
    Phase, Reason, Scope, ScopeId, Told, Watch,
};

const SECOND: Duration = Duration::from_secs(1);
const DAEMON: ChildKind = ChildKind { daemon: true, isolated: false };

#[allow(clippy::disallowed_methods, reason = "the test's one look at the clock; the scope is told the time")]
fn start() -> Instant {
    Instant::now()
}

fn origin(n: u64) -> Origin {
    Origin::new(ScopeId::new(n), None, Location::caller())
}

fn scope(now: Instant) -> Scope<&'static str> {
    let (watch, warn_after) = (Watch::Failures, 10 * SECOND);
    Scope::new(Config { origin: origin(1), watch, grace: None, warn_after, deadline: None, opened_at: Some(now) })
}

fn with_grace(grace: Duration, now: Instant) -> Scope<&'static str> {
    Scope::new(Config { grace: Some(grace), ..scope(now).config().clone() })
}

fn by(scope: &mut Scope<&'static str>, at: Instant, now: Instant) -> bool {
    scope.set_deadline(Some(Deadline::new(at, origin(1), None)), now).0
}

fn requested() -> CancelRequest {
    CancelRequest::because(Reason::Requested)
}

fn fail(scope: &mut Scope<&'static str>, now: Instant) {
    let exit = Exit { end: End::Failed(Failure::Error("e")), destructor: None, told: Told::Nobody };
    let id = ChildId::new(9);
    drop(scope.child_exited(id, ChildKind::LINKED, &Member::child(id), exit, now));
}

fn daemon_ends(scope: &mut Scope<&'static str>, id: ChildId, now: Instant) -> sc_core::Effects<&'static str> {
    let exit = Exit { end: End::Stopped, destructor: None, told: Told::FromInside };
    scope.child_exited(id, DAEMON, &Member::child(id), exit, now)
}

/// Ends the body and the ordinary children.
fn drain(scope: &mut Scope<&'static str>, now: Instant) -> sc_core::Effects<&'static str> {
    drop(scope.body_ended(BodyEnd::Value, None, now));
    scope.drained(now)
}

#[test]
fn who_is_alone_ends_at_once_and_who_is_not_changes_nothing() {
    type Prepare = fn(&mut Scope<&'static str>, Instant);
    let alone = |prepare: Prepare| {
        let now = start();
        let mut scope = scope(now);
        prepare(&mut scope, now);
        let before = format!("{scope:?}");
        match scope.ended_alone(|| now + SECOND) {
            Some(effects) => assert!(effects.closed && effects.refuse && scope.phase() == Phase::Closed),
            None => assert_eq!(format!("{scope:?}"), before),
        }
        scope.phase() == Phase::Closed && scope.finish(Some(()), 0).report().duration == SECOND
    };
    let others: [Prepare; 7] = [
        |scope, now| assert!(by(scope, now + SECOND, now)),
        |scope, _| assert!(scope.admit_daemon(ChildId::new(0), None)),
        |scope, _| assert!(scope.admit_finalizer()),
        |scope, now| fail(scope, now),
        |scope, now| drop(scope.cancel(requested(), now)),
        |scope, now| drop(scope.body_ended(BodyEnd::Value, None, now)),
        |scope, now| {
            assert!(scope.admit_finalizer());
            drop(drain(scope, now));
        },
    ];
    assert!(alone(|_, _| ()));
    for other in others {
        assert!(!alone(other));
    }
}

#[test]
fn nobody_is_admitted_behind_the_steps_that_take_him() {
    let now = start();
    let mut scope = scope(now);
    assert!(scope.admit_daemon(ChildId::new(0), None) && scope.admit_finalizer());
    assert!(drain(&mut scope, now).refuse);
    assert!(!scope.admit_daemon(ChildId::new(1), None), "out of ordinary children");
    assert!(scope.admit_finalizer(), "the daemons go first");
    assert!(daemon_ends(&mut scope, ChildId::new(0), now).run_finalizer);
    assert!(!scope.admit_finalizer() && scope.finalizers() == 1, "they run");
    assert!(scope.finalizer_ended(None, now).run_finalizer && scope.finalizers() == 0);
    assert!(scope.finalizer_ended(None, now).closed);
    assert!(!scope.admit_finalizer() && !scope.admit_daemon(ChildId::new(2), None));
}

#[test]
fn a_daemon_has_ended_when_its_scopes_have() {
    let now = start();
    let mut scope = scope(now);
    let (id, other) = (ChildId::new(0), ChildId::new(1));
    assert!(scope.admit_daemon(id, None) && scope.admit_daemon(other, None));
    assert!(scope.daemon_scope_opened(id) && scope.daemon_scope_opened(id));
    assert!(!scope.daemon_scope_opened(ChildId::new(7)), "there is no such daemon");
    let stopped = drain(&mut scope, now).signal_daemon.map(|(id, _)| id);
    assert_eq!(stopped, Some(other), "newest first (P10)");
    // The one whose turn has not come ends: nobody's turn changes.
    assert!(daemon_ends(&mut scope, id, now).signal_daemon.is_none() && scope.is_daemon(id));
    assert!(daemon_ends(&mut scope, other, now).signal_daemon.is_some_and(|(next, _)| next == id));
    assert!(!scope.daemon_scope_closed(id, now).closed);
    assert!(scope.daemon_scope_closed(id, now).closed, "it was the last");
}

#[test]
fn a_daemon_that_ends_out_of_turn_leaves_the_turn_to_whose_it_is() {
    let now = start();
    let mut scope = scope(now);
    let (first, second) = (ChildId::new(0), ChildId::new(1));
    assert!(scope.admit_daemon(first, None) && scope.admit_daemon(second, Some(3 * SECOND)));
    drop(drain(&mut scope, now));
    assert_eq!((scope.daemon_stop_at(), scope.next_timer()), (Some(now + 3 * SECOND), Some(now + 3 * SECOND)));
    let effects = daemon_ends(&mut scope, first, now);
    assert!(effects.signal_daemon.is_none() && !effects.closed && scope.daemon_stop_at().is_some());
    assert_eq!(scope.tick(now + 3 * SECOND).stop_daemon, Some(second));
    assert!(scope.next_timer().is_none() && scope.tick(now + 4 * SECOND).stop_daemon.is_none(), "once");
    assert!(daemon_ends(&mut scope, second, now + 4 * SECOND).closed);
}

#[test]
fn the_end_of_the_runtime_counts_the_finalizers_that_never_ran() {
    let now = start();
    let mut open = scope(now);
    assert_eq!(open.runtime_ended(now).0, 0);
    assert_eq!(open.phase(), Phase::Open, "it is not drained");
    for (ran, unrun) in [(0, 3), (1, 2)] {
        let mut scope = scope(now);
        assert!((0..3).all(|_| scope.admit_finalizer()));
        assert!(drain(&mut scope, now).run_finalizer);
        (0..ran).for_each(|_| drop(scope.finalizer_ended(None, now)));
        let (count, effects) = scope.runtime_ended(now);
        assert_eq!((count, effects.closed), (unrun, true));
        let (count, effects) = scope.runtime_ended(now);
        assert_eq!((count, effects.closed), (0, false), "once");
    }
    let mut waiting = scope(now);
    assert!(waiting.admit_daemon(ChildId::new(0), None) && waiting.admit_finalizer());
    drop(drain(&mut waiting, now));
    assert_eq!(waiting.runtime_ended(now).0, 1, "it did not even begin");
    assert_eq!(waiting.daemons(), 0);
}

#[test]
fn a_scope_drains_once() {
    let now = start();
    let mut scope = scope(now);
    assert!(scope.admit_finalizer());
    assert!(drain(&mut scope, now).refuse);
    let again = scope.drained(now);
    assert!(!again.refuse && !again.run_finalizer && !again.closed);
}

#[test]
fn a_deadline_moves_until_it_has_passed_or_something_ended_the_scope() {
    let now = start();
    let mut open = scope(now);
    let moved = |scope: &mut Scope<_>, at| scope.set_deadline(Some(Deadline::new(at, origin(1), None)), now).1;
    assert!(moved(&mut open, now + SECOND).deadline_moved);
    let same = open.deadline().cloned();
    let (set, effects) = open.set_deadline(same, now);
    assert!(set && effects.rearm && !effects.deadline_moved, "it is where it was");
    assert!(by(&mut open, now + 2 * SECOND, now));
    assert!(!by(&mut open, now + 9 * SECOND, now + 2 * SECOND), "it has passed");
    let mut cancelled = with_grace(9 * SECOND, now);
    drop(cancelled.cancel(requested(), now));
    assert!(!by(&mut cancelled, now + SECOND, now));
    let mut closed = scope(now);
    assert!(drain(&mut closed, now).closed && !by(&mut closed, now + SECOND, now));
}

#[test]
fn an_inherited_deadline_is_handed_down_only_where_it_changes_something() {
    let now = start();
    let mut scope = scope(now);
    assert!(by(&mut scope, now + SECOND, now));
    let outer = |at| Some(Deadline::new(at, origin(2), None));
    assert!(!scope.inherit_deadline(outer(now + 2 * SECOND)).deadline_moved, "the own one is earlier");
    let effects = scope.inherit_deadline(outer(now + SECOND / 2));
    assert!(effects.deadline_moved && effects.rearm);
    assert_eq!(scope.next_timer(), None, "its owner's timer expires it");
    assert!(scope.tick(now + SECOND).signal.is_none());
    scope.told_in_turn();
    assert_eq!(scope.next_timer(), Some(now + SECOND), "nobody hands that one down in time");
    assert!(scope.tick(now + SECOND).signal.is_some_and(|told| told.is_deadline()));
}

#[test]
fn a_deadline_has_no_timer_once_there_is_nothing_to_cut_short() {
    let now = start();
    let mut scope = scope(now);
    assert!(by(&mut scope, now + SECOND, now) && scope.admit_finalizer());
    assert_eq!(scope.next_timer(), Some(now + SECOND));
    drop(drain(&mut scope, now));
    assert_eq!(scope.next_timer(), None);
    assert!(scope.tick(now + SECOND).signal.is_none() && scope.end().kind() == OutcomeKind::Ok);
}

#[test]
fn a_grace_ends_once_and_at_its_instant() {
    let now = start();
    let mut scope = with_grace(SECOND, now);
    let effects = scope.cancel(requested(), now);
    assert!(effects.refuse && effects.rearm && !effects.stop);
    assert_eq!((scope.next_timer(), scope.is_stopped()), (Some(now + SECOND), false));
    assert!(!scope.tick(now + SECOND / 2).stop);
    assert!(scope.tick(now + SECOND).stop && scope.is_stopped());
    assert!(!scope.tick(now + SECOND).stop && scope.next_timer().is_none());
}

#[test]
fn a_grace_that_nobody_can_time_is_over() {
    let now = start();
    let mut open = scope(now);
    assert!(!open.cut_grace(now).stop, "it is not cancelled");
    let mut cancelled = with_grace(SECOND, now);
    drop(cancelled.cancel(requested(), now));
    assert!(cancelled.cut_grace(now).stop);
    let mut daemon = scope(now);
    assert!(daemon.admit_daemon(ChildId::new(0), Some(SECOND)));
    drop(drain(&mut daemon, now));
    assert_eq!(daemon.cut_grace(now).stop_daemon, Some(ChildId::new(0)));
}

#[test]
fn a_dropped_future_cancels_and_is_adopted_once() {
    let now = start();
    for ended in [false, true] {
        let mut scope = scope(now);
        let gone = |scope: &mut Scope<_>| if ended { scope.opener_ended(now) } else { scope.future_dropped(now) };
        let effects = gone(&mut scope);
        let reason = if ended { Reason::OpenerEnded } else { Reason::ScopeDropped };
        assert_eq!((effects.adopt, effects.signal.map(|told| told.reason())), (true, Some(reason)));
        assert_eq!(scope.end().kind(), OutcomeKind::Cancelled);
        assert!(!gone(&mut scope).adopt, "once");
        assert!(scope.drained(now).closed, "the body has ended with it");
        assert!(!gone(&mut scope).adopt, "closed");
    }
    // Only its finalizers are left: nothing is cut short, and there is nothing to cancel (P10).
    let mut finalizing = scope(now);
    assert!(finalizing.admit_finalizer());
    assert!(drain(&mut finalizing, now).run_finalizer && !finalizing.can_be_cancelled());
    let effects = finalizing.future_dropped(now);
    assert!(effects.adopt && effects.signal.is_none());
    assert_eq!(finalizing.end().kind(), OutcomeKind::Ok);
    assert!(finalizing.finalizer_ended(None, now).closed && !finalizing.can_be_cancelled());
}

#[test]
fn a_warning_comes_at_its_instant_and_again_after_as_long() {
    let now = start();
    let mut scope = scope(now);
    assert!(scope.tick(now + 60 * SECOND).slow.is_none(), "it waits for nobody");
    drop(scope.body_ended(BodyEnd::Value, None, now));
    assert!(scope.tick(now + 9 * SECOND).slow.is_none());
    let effects = scope.tick(now + 12 * SECOND);
    assert!(effects.rearm && effects.slow.is_some_and(|slow| slow.waited == 12 * SECOND && !slow.draining));
    assert_eq!(scope.next_warning(), Some(now + 22 * SECOND));
}

#[test]
fn a_deadline_cuts_no_daemon_short() {
    let now = start();
    let mut scope = scope(now);
    assert!(by(&mut scope, now + SECOND, now) && scope.admit_daemon(ChildId::new(0), Some(9 * SECOND)));
    drop(drain(&mut scope, now));
    assert_eq!(scope.next_timer(), Some(now + 9 * SECOND), "the daemon's grace alone");
    assert!(scope.tick(now + SECOND).signal.is_none() && scope.can_be_cancelled());
}

#[test]
fn an_earlier_end_is_for_what_runs_of_a_cancelled_scope_but_not_for_a_daemon_with_a_grace() {
    let now = start();
    let mut open = scope(now);
    assert!(!open.hasten(Some(now), now).rearm, "it is not cancelled");
    for (own, stop_at) in [(Some(9 * SECOND), 9 * SECOND), (None, SECOND)] {
        let mut scope = scope(now);
        assert!(scope.admit_daemon(ChildId::new(0), own));
        drop(scope.stop_by(requested(), Some(now + 5 * SECOND), now));
        drop(drain(&mut scope, now));
        assert!(scope.hasten(Some(now + SECOND), now).rearm);
        assert_eq!((scope.stop_at(), scope.daemon_stop_at()), (Some(now + SECOND), Some(now + stop_at)));
        assert!(daemon_ends(&mut scope, ChildId::new(0), now).closed);
        assert!(!scope.hasten(Some(now), now).rearm, "closed");
    }
}

#[test]
fn a_report_that_nobody_asked_for_is_made_if_something_happened() {
    let now = start();
    let silent = || Scope::new(Config { opened_at: None, ..scope(now).config().clone() });
    let spawned = |mut scope: Scope<&'static str>| {
        assert!(scope.drained(now).closed);
        let outcome = scope.finish(Some(()), 3);
        (outcome.report().spawned, outcome.report().failed_members.len())
    };
    let (mut quiet, mut failed, mut cut) = (silent(), silent(), silent());
    drop(quiet.body_ended(BodyEnd::Value, None, now));
    assert_eq!(spawned(quiet), (0, 0));
    drop(failed.unclaimed(sc_core::FailureRecord { member: Member::body(), failure: Failure::Error("e") }));
    drop(failed.body_ended(BodyEnd::Value, None, now));
    assert_eq!(spawned(failed), (3, 1));
    cut.note_refused();
    drop(cut.body_ended(BodyEnd::Value, None, now));
    assert_eq!(spawned(cut), (3, 0));
}

#[test]
fn a_body_that_is_the_last_closes_its_scope_at_once_unless_the_deadline_has_passed() {
    let now = start();
    let late = |seconds: u32| now + seconds * SECOND;
    let mut before = scope(now);
    assert!(by(&mut before, late(2), now));
    let effects = before.ended_alone(|| late(1)).expect("it is the last, and in time");
    assert!(effects.closed && effects.refuse && before.phase() == Phase::Closed);
    assert_eq!(before.finish(Some(1), 0).report().duration, SECOND);

    let mut after = scope(now);
    assert!(by(&mut after, late(2), now));
    assert!(after.ended_alone(|| late(2)).is_none(), "a deadline at that instant has passed (P8)");
    assert_eq!(after.phase(), Phase::Open, "and nothing has changed");
}

#[test]
fn a_scope_that_nobody_asks_for_its_report_closes_without_a_look_at_the_clock() {
    let config = Config { opened_at: None, ..scope(start()).config().clone() };
    let mut scope = Scope::<&'static str>::new(config);
    let effects = scope.ended_alone(|| unreachable!("there is no deadline, and no report"));
    assert!(effects.expect("it is the last").closed);
    assert_eq!(scope.finish(Some(1), 3).report().spawned, 0, "none is made");
}

//! `stop_by` and `hasten`: an end whose instant somebody else than the scope sets.

use std::panic::Location;
use std::time::{Duration, Instant};

use sc_core::{
    BodyEnd, CancelRequest, ChildId, ChildKind, Config, Deadline, End, Exit, Member, Origin, OutcomeKind, Phase,
    Reason, Scope, ScopeId, Told, Watch,
};

const SECOND: Duration = Duration::from_secs(1);

#[allow(clippy::disallowed_methods, reason = "the test's one look at the clock; the scope is told the time")]
fn start() -> Instant {
    Instant::now()
}

fn scope(grace: Option<Duration>, now: Instant) -> Scope<&'static str> {
    Scope::new(Config {
        origin: Origin::new(ScopeId::new(1), None, Location::caller()),
        watch: Watch::FailFast,
        grace,
        warn_after: 10 * SECOND,
        deadline: None,
        opened_at: Some(now),
    })
}

fn shut_down() -> CancelRequest {
    CancelRequest::because(Reason::Shutdown)
}

#[test]
fn it_cancels_with_the_instant_it_is_given_instead_of_the_scopes_own_grace() {
    let now = start();
    let mut scope = scope(Some(60 * SECOND), now);
    let effects = scope.stop_by(shut_down(), Some(now + SECOND), now);
    assert_eq!(effects.signal.map(|cancelled| cancelled.reason()), Some(Reason::Shutdown));
    assert!(effects.refuse && effects.rearm && !effects.stop);
    assert_eq!((scope.stop_at(), scope.next_timer()), (Some(now + SECOND), Some(now + SECOND)));
    assert!(!scope.tick(now + SECOND / 2).stop);
    assert!(scope.tick(now + SECOND).stop && scope.is_stopped());
}

#[test]
fn an_instant_that_has_come_stops_at_once_and_none_never() {
    let now = start();
    let mut hurried = scope(Some(SECOND), now);
    assert!(hurried.stop_by(shut_down(), Some(now), now).stop);
    let mut patient = scope(Some(SECOND), now);
    assert!(!patient.stop_by(shut_down(), None, now).stop);
    assert_eq!(patient.next_timer(), None);
    assert!(!patient.tick(now + 1000 * SECOND).stop, "as long as it takes");
}

#[test]
fn one_that_is_cancelled_keeps_its_reason_and_the_earlier_end() {
    let now = start();
    let mut scope = scope(Some(10 * SECOND), now);
    drop(scope.cancel(CancelRequest::because(Reason::Requested), now));
    let effects = scope.stop_by(shut_down(), Some(now + 20 * SECOND), now + SECOND);
    assert!(effects.signal.is_none() && effects.rearm);
    assert_eq!(scope.stop_at(), Some(now + 10 * SECOND), "never later");
    drop(scope.stop_by(shut_down(), Some(now + 3 * SECOND), now + SECOND));
    assert_eq!(scope.stop_at(), Some(now + 3 * SECOND));
    drop(scope.stop_by(shut_down(), None, now + SECOND));
    assert_eq!(scope.stop_at(), Some(now + 3 * SECOND));
    assert!(scope.stop_by(shut_down(), Some(now + SECOND), now + 2 * SECOND).stop, "that has come already");
    assert_eq!(scope.cancelled().map(sc_core::Cancelled::reason), Some(Reason::Requested), "P6");
}

#[test]
fn hasten_is_for_cancelled_scopes_without_a_grace_of_their_own() {
    let now = start();
    let origin = Origin::new(ScopeId::new(2), None, Location::caller());
    let mut above = Scope::<&str>::new(Config { origin, ..scope(None, now).config().clone() });
    drop(above.stop_by(shut_down(), Some(now + 10 * SECOND), now));
    let cancelled = above.cancelled().expect("it was").clone();

    let mut shares = scope(None, now);
    assert!(!shares.hasten(Some(now), now).rearm, "nothing to hasten before it is cancelled");
    drop(shares.inherit(&cancelled, Some(now + 10 * SECOND), now));
    assert!(shares.hasten(Some(now + SECOND), now).rearm);
    assert_eq!(shares.stop_at(), Some(now + SECOND));
    assert!(shares.hasten(Some(now), now).stop);

    let mut own = scope(Some(5 * SECOND), now);
    drop(own.inherit(&cancelled, Some(now + 10 * SECOND), now));
    assert!(!own.hasten(Some(now), now).stop);
    assert_eq!(own.stop_at(), Some(now + 5 * SECOND), "P9: its own counts");
}

#[test]
fn daemons_share_the_instant_also_one_whose_turn_it_is_already() {
    let now = start();
    let mut scope = scope(Some(10 * SECOND), now);
    let daemon = ChildId::new(0);
    assert!(scope.admit_daemon(daemon, None));
    drop(scope.cancel(CancelRequest::because(Reason::Requested), now));
    drop(scope.body_ended(BodyEnd::Value, None, now));
    let effects = scope.drained(now + SECOND);
    assert_eq!(effects.signal_daemon.map(|(id, _)| id), Some(daemon));
    assert_eq!(scope.daemon_stop_at(), Some(now + 11 * SECOND), "its own grace, from its turn");
    drop(scope.stop_by(shut_down(), Some(now + 2 * SECOND), now + SECOND));
    assert_eq!(scope.daemon_stop_at(), Some(now + 2 * SECOND));
    assert_eq!(scope.tick(now + 2 * SECOND).stop_daemon, Some(daemon));
}

#[test]
fn a_closed_scope_takes_no_notice() {
    let now = start();
    let mut scope = scope(None, now);
    drop(scope.body_ended(BodyEnd::Value, None, now));
    assert!(scope.drained(now).closed);
    let effects = scope.stop_by(shut_down(), Some(now), now);
    assert!(effects.signal.is_none() && !effects.stop && !effects.rearm);
    assert_eq!((scope.phase(), scope.finish(Some(()), 0).kind()), (Phase::Closed, OutcomeKind::Ok));
}

#[test]
fn a_daemon_that_has_begun_its_turn_shares_the_instant_of_a_scope_that_was_not_cancelled() {
    let now = start();
    let mut scope = scope(Some(10 * SECOND), now);
    let daemon = ChildId::new(0);
    assert!(scope.admit_daemon(daemon, None));
    drop(scope.body_ended(BodyEnd::Value, None, now));
    drop(scope.drained(now));
    assert_eq!(scope.daemon_stop_at(), Some(now + 10 * SECOND));
    let effects = scope.stop_by(shut_down(), Some(now + 2 * SECOND), now + SECOND);
    assert!(effects.signal.is_some() && effects.rearm);
    assert_eq!(scope.daemon_stop_at(), Some(now + 2 * SECOND));
    assert_eq!(scope.tick(now + 2 * SECOND).stop_daemon, Some(daemon));
}

#[test]
fn a_daemons_own_grace_is_not_shortened_before_its_turn_nor_in_it() {
    let now = start();
    for turn_first in [true, false] {
        let mut scope = scope(None, now);
        let daemon = ChildId::new(0);
        assert!(scope.admit_daemon(daemon, Some(10 * SECOND)));
        drop(scope.body_ended(BodyEnd::Value, None, now));
        drop(scope.cancel(CancelRequest::because(Reason::Requested), now));
        if turn_first {
            drop(scope.drained(now));
            drop(scope.stop_by(shut_down(), Some(now + SECOND), now));
            drop(scope.hasten(Some(now), now));
        } else {
            drop(scope.stop_by(shut_down(), Some(now + SECOND), now));
            drop(scope.hasten(Some(now), now));
            drop(scope.drained(now));
        }
        assert_eq!(
            scope.daemon_stop_at(),
            Some(now + 10 * SECOND),
            "P9: instead of the scope's, turn first: {turn_first}"
        );
        assert_eq!(scope.cut_grace(now).stop_daemon, Some(daemon), "nobody could time it");
    }
}

#[test]
fn a_closed_scope_asks_for_nothing_when_graces_are_cut_or_deadlines_move_above() {
    let now = start();
    let mut scope = scope(Some(10 * SECOND), now);
    let daemon = ChildId::new(0);
    assert!(scope.admit_daemon(daemon, Some(20 * SECOND)));
    drop(scope.body_ended(BodyEnd::Value, None, now));
    drop(scope.drained(now));
    drop(scope.cancel(CancelRequest::because(Reason::Requested), now));
    let exit = Exit { end: End::Stopped, destructor: None, told: Told::FromInside };
    let kind = ChildKind { daemon: true, isolated: false };
    assert!(scope.child_exited(daemon, kind, &Member::child(daemon), exit, now).closed);
    let effects = scope.cut_grace(now);
    assert!(!effects.stop && effects.stop_daemon.is_none(), "{effects:?}");
    let effects = scope.inherit_deadline(Some(Deadline::new(now, scope.config().origin.clone(), None)));
    assert!(!effects.deadline_moved && !effects.rearm, "{effects:?}");
}

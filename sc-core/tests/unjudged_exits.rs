//! Exits that the policy has not judged when the runtime ends: the one world that the exhaustive
//! search leaves out, since nobody is there to judge any more.

use std::panic::Location;
use std::time::{Duration, Instant};

use sc_core::{
    BodyEnd, ChildId, ChildKind, Config, End, Exit, Failure, FailureRecord, Member, Origin, Panic, Scope, ScopeId,
    Told, Verdict, Watch,
};

#[allow(clippy::disallowed_methods, reason = "the test's one look at the clock; the scope is told the time")]
fn start() -> Instant {
    Instant::now()
}

fn exit(error: &'static str) -> Exit<&'static str> {
    Exit { end: End::Failed(Failure::Error(error)), destructor: None, told: Told::Nobody }
}

#[test]
fn failures_that_nobody_judged_before_the_runtime_ended_are_kept_or_handed_out() {
    let now = start();
    let origin = Origin::new(ScopeId::new(1), None, Location::caller());
    let mut scope = Scope::new(Config {
        origin,
        watch: Watch::Failures,
        grace: None,
        warn_after: Duration::from_secs(10),
        deadline: None,
        opened_at: Some(now),
    });
    for (n, error) in ["judged too late", "never judged"].into_iter().enumerate() {
        let id = ChildId::new(n as u64);
        let effects = scope.child_exited(id, ChildKind::LINKED, &Member::child(id), exit(error), now);
        assert!(effects.judge);
    }
    let judging = scope.next_exit_to_judge().expect("two exits were queued");
    assert!(!scope.body_ended(BodyEnd::Value, None, now).closed);
    assert!(!scope.drained(now).closed, "exits to judge are part of the outcome (P5)");

    let (unrun, effects) = scope.runtime_ended(now);
    assert_eq!((unrun, effects.closed), (0, true));
    let outcome = scope.finish(Some(()), 2);
    assert!(matches!(outcome.failures(), [Failure::Error("never judged")]), "{outcome:?}");

    let effects = scope.judged(judging, Ok(Verdict::Continue), now);
    let [record] = &effects.unkept[..] else { panic!("the late one has nowhere else to go (P4): {effects:?}") };
    assert!(matches!(record.failure, Failure::Error("judged too late")));
}

#[test]
fn a_failure_that_would_have_decided_goes_to_the_hook_once_the_scope_is_closed() {
    let now = start();
    let panic = || Panic::new(Box::new("the policy's"));
    for verdict in [Ok(Verdict::Cancel), Err(panic())] {
        let origin = Origin::new(ScopeId::new(1), None, Location::caller());
        let (watch, warn_after) = (Watch::Failures, Duration::from_secs(10));
        let config = Config { origin, watch, grace: None, warn_after, deadline: None, opened_at: Some(now) };
        let mut scope = Scope::new(config);
        let id = ChildId::new(0);
        drop(scope.child_exited(id, ChildKind::LINKED, &Member::child(id), exit("too late"), now));
        let judging = scope.next_exit_to_judge().expect("an exit was queued");
        drop(scope.body_ended(BodyEnd::Value, None, now));
        drop(scope.drained(now));
        assert!(scope.runtime_ended(now).1.closed);
        let outcome = scope.finish(Some(()), 1);
        assert!(outcome.failures().is_empty(), "{outcome:?}");

        let failures = 1 + usize::from(verdict.is_err());
        assert_eq!(scope.judged(judging, verdict, now).unkept.len(), failures, "nothing is lost (P4)");
        let record = FailureRecord { member: Member::body(), failure: Failure::Panic(panic()) };
        assert_eq!(scope.failed(record, now).unkept.len(), 1, "nor what a destructor adds");
    }
}

//! The values that a scope hands out: what they say, and what they find.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::time::{Duration, Instant};

use sc_core::{
    BodyEnd, CancelRequest, Cancelled, ChildId, ChildKind, Config, Deadline, End, Exit, FAILURES_KEPT, FailFast,
    Failure, FailureRecord, FirstOk, Joiner, Member, OneLine, Origin, Outcome, OutcomeKind, Panic, Policy, Quorum,
    RaceError, Reason, Report, Scope, ScopeId, ShownName, Told, Verdict, Watch, policy_fn,
};

#[allow(clippy::disallowed_methods, reason = "the test's one look at the clock; the scope is told the time")]
fn start() -> Instant {
    Instant::now()
}

fn origin(n: u64) -> Origin {
    Origin::new(ScopeId::new(n), None, Location::caller())
}

fn scope(now: Instant) -> Scope<&'static str> {
    let (warn_after, origin) = (Duration::from_secs(10), origin(1));
    Scope::new(Config {
        origin,
        watch: Watch::Supervise,
        grace: None,
        warn_after,
        deadline: None,
        opened_at: Some(now),
    })
}

/// A closed scope's outcome, after so many children failed that somebody tolerates.
fn outcome(tolerated: usize, body: BodyEnd<&'static str>) -> Outcome<u8, &'static str> {
    let now = start();
    let mut scope = scope(now);
    for n in 0..tolerated {
        let exit = Exit { end: End::Failed(Failure::Error("e")), destructor: None, told: Told::Nobody };
        let id = ChildId::new(n as u64);
        drop(scope.child_exited(id, ChildKind::LINKED, &Member::child(id), exit, now));
    }
    drop(scope.body_ended(body, None, now));
    assert!(scope.drained(now).closed);
    scope.finish(Some(7), tolerated as u64)
}

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn a_cause_is_found_itself_and_down_its_chain_of_sources() {
    let error = Outer("x".parse::<u8>().unwrap_err());
    let cancelled = scope(start()).notice(CancelRequest::with_cause(Reason::Requested, Box::new(error)));
    assert!(cancelled.cause::<Outer>().is_some());
    assert!(cancelled.cause::<std::num::ParseIntError>().is_some());
    assert!(cancelled.cause::<fmt::Error>().is_none());
}

#[test]
fn of_equal_deadlines_the_outer_counts_and_of_others_the_earlier() {
    let now = start();
    let (outer, own) = (Deadline::new(now, origin(1), None), Deadline::new(now, origin(2), None));
    let later = Deadline::new(now + Duration::from_secs(1), origin(1), None);
    let owner = |outer, own| Deadline::effective(outer, own).map(|deadline| deadline.owner().id());
    assert_eq!(owner(Some(&outer), Some(&own)), Some(ScopeId::new(1)), "P8");
    assert_eq!(owner(Some(&later), Some(&own)), Some(ScopeId::new(2)));
}

#[test]
fn failures_are_kept_up_to_the_bound_and_counted_beyond_it() {
    let full = outcome(FAILURES_KEPT, BodyEnd::Value);
    assert_eq!((full.failures().len(), full.report().failures_unkept), (FAILURES_KEPT, 0));
    let over = outcome(FAILURES_KEPT + 2, BodyEnd::Value);
    assert_eq!((over.failures().len(), over.report().failures_unkept), (FAILURES_KEPT, 2));
    let primary = outcome(FAILURES_KEPT, BodyEnd::Failed(Failure::Error("last")));
    assert_eq!(primary.failures().len(), FAILURES_KEPT + 1, "the primary one has a place of its own");
    assert!(matches!(primary.failures()[0], Failure::Error("last")));
}

#[test]
fn the_bound_holds_after_the_primary_failure_too() {
    let now = start();
    let mut scope = scope(now);
    drop(scope.body_ended(BodyEnd::Failed(Failure::Error("first")), None, now));
    let record = || FailureRecord { member: Member::body(), failure: Failure::Error("further") };
    let kept = (0..=FAILURES_KEPT).filter(|_| scope.unclaimed(record()).unkept.is_empty()).count();
    assert_eq!(kept, FAILURES_KEPT, "further failures, besides the primary one");
}

#[test]
fn an_outcome_reads_as_one_line() {
    let text = |outcome: Outcome<u8, &'static str>| outcome.to_string();
    let start_of = |text: String| text.split(" (").next().unwrap_or_default().to_owned();
    assert_eq!(start_of(text(outcome(0, BodyEnd::Value))), "ok");
    assert_eq!(start_of(text(outcome(1, BodyEnd::Value))), "partial; 1 further failure [child #0: e]");
    assert_eq!(start_of(text(outcome(2, BodyEnd::Value))), "partial; 2 further failures [child #0: e; child #1: e]");
    let five = start_of(text(outcome(5, BodyEnd::Value)));
    assert!(five.ends_with("child #2: e; and 2 more]"), "{five}");
    let many = start_of(text(outcome(FAILURES_KEPT + 2, BodyEnd::Value)));
    assert!(many.starts_with("partial; 66 further failures [") && many.ends_with("; and 63 more]"), "{many}");
    let failed = text(outcome(0, BodyEnd::Failed(Failure::Error("b"))));
    assert!(failed.starts_with("failed: the body in scope 1 (") && failed.contains("): b ("), "{failed}");
    assert!(!failed.contains("further"), "the one that decided is no further one: {failed}");
}

#[test]
fn how_a_scope_ended_says_why_only_where_it_cut_something_short() {
    let now = start();
    let mut fine = scope(now);
    drop(fine.cancel(CancelRequest::because(Reason::Requested), now));
    assert_eq!(fine.end().to_string(), "ok");
    drop(fine.body_ended(BodyEnd::Cut, None, now));
    let text = fine.end().to_string();
    assert!(text.starts_with("cancelled: cancellation requested in scope 1 ("), "{text}");
}

#[test]
fn a_report_leaves_out_what_did_not_happen_and_says_child_of_one() {
    let mut report = Report::default();
    report.spawned = 1;
    report.succeeded = 1;
    assert_eq!(report.to_string(), "1 child in 0ns: 1 ok");
    report.spawned = 3;
    report.panicked = 2;
    assert_eq!(report.to_string(), "3 children in 0ns: 1 ok, 2 panicked");
}

#[test]
fn text_from_outside_stays_on_its_line() {
    assert_eq!(OneLine("a\nb\u{2028}c\u{202e}d").to_string(), r"a\nb\u{2028}c\u{202e}d");
    assert_eq!(OneLine("plain, ünïcödé 🦀").to_string(), "plain, ünïcödé 🦀");
    assert_eq!(ShownName(r"a`b\c").to_string(), r"a\`b\\c");
    assert_eq!(ShownName("short").to_string(), "short");
    assert_eq!(ShownName("a\nb").to_string(), r"a\nb");
    let long = "x".repeat(101);
    assert_eq!(ShownName(&long).to_string(), format!("{}…", &long[1..]));
}

#[test]
fn a_member_is_told_by_its_name_and_place() {
    let place = Location::caller();
    let member = Member::child(ChildId::new(3)).named(Some("worker".into())).at(place);
    assert_eq!((member.name(), member.place()), (Some("worker"), Some(place)));
    assert_eq!(member.to_string(), format!("child `worker` ({place})"));
    assert_eq!(Member::child(ChildId::new(3)).named(Some(String::new().into())).to_string(), "child #3");
}

#[test]
fn a_policy_is_told_what_the_exit_was_and_fail_fast_cancels_at_failures_only() {
    let now = start();
    let ends = [End::Value, End::Failed(Failure::Error("e")), End::Failed(Failure::Panic(Panic::new(Box::new("p"))))];
    let expected = [(false, Verdict::Continue), (false, Verdict::Cancel), (true, Verdict::Cancel)];
    let (warn_after, watch) = (Duration::from_secs(1), Watch::All);
    let config = Config { origin: origin(1), watch, grace: None, warn_after, deadline: None, opened_at: Some(now) };
    let mut scope = Scope::new(config);
    for (n, end) in ends.into_iter().enumerate() {
        let (id, exit) = (ChildId::new(n as u64), Exit { end, destructor: None, told: Told::Nobody });
        drop(scope.child_exited(id, ChildKind::LINKED, &Member::child(id), exit, now));
    }
    for (is_panic, verdict) in expected {
        let queued = scope.next_exit_to_judge().expect("three exits were queued");
        let exit = sc_core::ChildExit::new(&queued.member, queued.failure.as_ref(), queued.failures_before);
        assert_eq!((exit.is_panic(), FailFast.decide(&exit)), (is_panic, verdict));
        drop(scope.judged(queued, Ok(Verdict::Continue), now));
    }
    let closure = || policy_fn(|_: &sc_core::ChildExit<'_, ()>| Verdict::Continue);
    assert_eq!((closure().watch(), closure().all_exits().watch()), (Watch::Failures, Watch::All));
}

#[test]
fn a_quorum_of_a_group_of_unknown_size_is_lost_only_at_its_end() {
    let mut quorum = Quorum::<u8, &str>::new(2);
    assert_eq!(quorum.on_exit(0, Err(Failure::Error("no"))), ControlFlow::Continue(()), "there may be more");
    let mut unclaimed = Vec::new();
    assert!(matches!(quorum.finish(None, &mut unclaimed), Err(RaceError::TooFew { needed: 2, given: 1 })));
}

fn cut() -> Cancelled {
    scope(start()).notice(CancelRequest::because(Reason::Requested))
}

#[test]
fn failures_that_a_race_does_not_return_are_unclaimed() {
    for (won, cut_short) in [(true, None), (false, Some(cut()))] {
        let mut race = FirstOk::<u8, &str>::new();
        let mut quorum = Quorum::<u8, &str>::new(1);
        let _ = (race.on_exit(0, Err(Failure::Error("no"))), quorum.on_exit(0, Err(Failure::Error("no"))));
        if won {
            let _ = (race.on_exit(1, Ok(1)), quorum.on_exit(1, Ok(1)));
        }
        let mut unclaimed = Vec::new();
        assert_eq!(race.finish(cut_short.clone(), &mut unclaimed).is_ok(), won);
        assert_eq!(unclaimed.len(), 1, "P4");
        assert_eq!(quorum.finish(cut_short, &mut unclaimed).is_ok(), won);
        assert_eq!(unclaimed.len(), 2, "P4");
    }
}

#[test]
fn a_race_that_all_lost_says_of_each_why() {
    let failures = vec![Failure::Error("a"), Failure::Error("b")];
    assert_eq!(RaceError::Failed(failures).to_string(), "2 failed, too many to win: a; b");
}

#[test]
fn the_kind_of_an_outcome_decides_the_result() {
    assert_eq!(outcome(1, BodyEnd::Value).kind(), OutcomeKind::Partial);
    assert!(outcome(1, BodyEnd::Value).is_ok() && !outcome(0, BodyEnd::Failed(Failure::Error("b"))).is_ok());
}

#[test]
fn a_scope_without_a_grace_is_stopped_by_its_cancellation() {
    let now = start();
    let mut scope = scope(now);
    let effects = scope.cancel(CancelRequest::because(Reason::Requested), now);
    assert!(effects.stop && scope.is_stopped(), "P9: default zero, and no timer is needed for it");
    assert_eq!((scope.cancelled_at(), scope.stop_at()), (Some(now), Some(now)));
}

#[test]
fn a_report_counts_what_the_scope_was_told() {
    let now = start();
    let mut scope = scope(now);
    let id = ChildId::new(0);
    let exit = Exit { end: End::Failed(Failure::Error("e")), destructor: None, told: Told::Nobody };
    drop(scope.child_exited(id, ChildKind::LINKED, &Member::child(id), exit, now));
    drop(scope.cancel(CancelRequest::because(Reason::Requested), now));
    scope.child_cut();
    scope.note_refused();
    let straggler = sc_core::Straggler::new(Member::child(id), Duration::from_secs(3));
    scope.note_stragglers(vec![straggler.clone()]);
    drop(scope.body_ended(BodyEnd::Value, None, now));
    let end = now + Duration::from_secs(4);
    assert!(scope.drained(end).closed);
    let outcome = scope.finish(Some(1), 5);
    let report = outcome.report();
    let counts = [report.spawned, report.succeeded, report.failed, report.cancelled, report.refused];
    assert_eq!(counts, [5, 3, 1, 1, 1]);
    assert_eq!(report.stragglers, [straggler]);
    assert_eq!((report.duration, report.drained_in), (end - now, Some(end - now)));
}

#[test]
fn what_was_cut_short_stays_so() {
    let now = start();
    let mut refused = scope(now);
    drop(refused.body_ended(BodyEnd::AwaitedDead, None, now));
    let kind = refused.end().kind();
    assert_eq!(kind, OutcomeKind::Cancelled);
    let id = ChildId::new(0);
    let exit = || Exit { end: End::Value, destructor: None, told: Told::Nobody };
    drop(refused.child_exited(id, ChildKind::LINKED, &Member::child(id), exit(), now));
    drop(refused.future_dropped(now));
    assert_eq!(refused.end().kind(), kind, "by a success");
    let mut early = scope(now);
    let end = End::RuntimeEnded;
    let cut = Exit { end, ..exit() };
    drop(early.child_exited(id, ChildKind::LINKED, &Member::child(id), cut, now));
    early.note_refused();
    assert_eq!(early.end().kind(), OutcomeKind::Cancelled);
}

#[test]
fn who_comes_late_for_an_outcome_is_told_that_it_failed_and_nothing_twice() {
    let now = start();
    for fails in [true, false] {
        let mut scope = scope(now);
        assert!(scope.admit_finalizer());
        drop(scope.body_ended(BodyEnd::Value, None, now));
        drop(scope.drained(now));
        let failure = fails.then_some(Failure::Error("commit"));
        assert!(scope.finalizer_ended(failure, now).closed);
        assert_eq!(scope.finish(Some(1), 0).failures().len(), usize::from(fails));
        let late = scope.finish(Some(1), 0);
        assert!(late.failures().is_empty(), "once (P4)");
        assert_eq!(
            (late.is_ok(), late.cancelled().map(Cancelled::reason)),
            (!fails, fails.then_some(Reason::ChildFailed))
        );
    }
}

#[test]
fn a_scope_owns_its_deadline_only_if_none_outside_is_as_early() {
    let now = start();
    let mut scope = scope(now);
    let own = || Some(Deadline::new(now + Duration::from_secs(5), origin(1), None));
    assert!(scope.set_deadline(own(), now).0, "one without a deadline gets its first");
    assert!(scope.owns_deadline());
    drop(scope.inherit_deadline(Some(Deadline::new(now + Duration::from_secs(5), origin(2), None))));
    assert!(!scope.owns_deadline(), "P8: the outermost of equals");
    assert!(scope.tick(now + Duration::from_secs(5)).signal.is_none());
}

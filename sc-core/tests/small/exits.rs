//! One exit, and what it decides: the cases that the exhaustive search meets among many others, each alone.

use std::panic::Location;
use std::time::{Duration, Instant};

use sc_core::{
    BodyEnd, CancelRequest, Cancelled, ChildId, ChildKind, Claim, Config, End, Exit, Failure, Member, Origin,
    OutcomeKind, Panic, Reason, Scope, ScopeId, Told, Verdict, Watch,
};

const ID: ChildId = ChildId::new(0);
const ISOLATED: ChildKind = ChildKind { daemon: false, isolated: true };
const DAEMON: ChildKind = ChildKind { daemon: true, isolated: false };

#[allow(clippy::disallowed_methods, reason = "the test's one look at the clock; the scope is told the time")]
fn start() -> Instant {
    Instant::now()
}

/// A scope, and the one instant at which everything happens to it.
struct World {
    scope: Scope<&'static str>,
    now: Instant,
}

impl World {
    fn new(watch: Watch) -> Self {
        let now = start();
        let origin = Origin::new(ScopeId::new(1), None, Location::caller());
        let (grace, warn_after) = (Some(Duration::from_secs(5)), Duration::from_secs(10));
        let config = Config { origin, watch, grace, warn_after, deadline: None, opened_at: Some(now) };
        Self { scope: Scope::new(config), now }
    }

    fn cancelled(watch: Watch) -> Self {
        let mut world = Self::new(watch);
        drop(world.scope.cancel(CancelRequest::because(Reason::Requested), world.now));
        world
    }

    /// Tells of an exit; gives whether the policy is to be asked.
    fn exits(&mut self, id: ChildId, kind: ChildKind, end: End<&'static str>, told: Told) -> bool {
        let exit = Exit { end, destructor: None, told };
        self.scope.child_exited(id, kind, &Member::child(id), exit, self.now).judge
    }

    fn fails(&mut self, kind: ChildKind, told: Told) -> bool {
        self.exits(ID, kind, End::Failed(Failure::Error("e")), told)
    }

    fn kind(&self) -> OutcomeKind {
        self.scope.end().kind()
    }
}

#[test]
fn a_success_is_judged_only_where_the_policy_could_still_decide_something() {
    let judges = |mut world: World, kind| world.exits(ID, kind, End::Value, Told::Nobody);
    assert!(judges(World::new(Watch::All), ChildKind::LINKED));
    assert!(!judges(World::new(Watch::All), ISOLATED), "it belongs to whoever joins it");
    assert!(!judges(World::cancelled(Watch::All), ChildKind::LINKED), "there is nothing left to decide");
    assert!(!judges(World::new(Watch::Failures), ChildKind::LINKED));
}

#[test]
fn a_failure_is_judged_only_if_it_is_no_consequence() {
    let judges = |mut world: World, kind, told| world.fails(kind, told);
    assert!(judges(World::new(Watch::Failures), ChildKind::LINKED, Told::Nobody));
    assert!(!judges(World::new(Watch::Failures), ISOLATED, Told::Nobody));
    assert!(!judges(World::new(Watch::Failures), ChildKind::LINKED, Told::FromInside));
    assert!(!judges(World::cancelled(Watch::Failures), ChildKind::LINKED, Told::Nobody));
}

#[test]
fn a_cut_spoils_an_ok_unless_it_came_from_inside_or_to_a_daemon() {
    let kind = |kind, end, told| {
        let mut world = World::cancelled(Watch::FailFast);
        world.exits(ID, kind, end, told);
        world.kind()
    };
    assert_eq!(kind(ChildKind::LINKED, End::Cut, Told::ByScope), OutcomeKind::Cancelled);
    assert_eq!(kind(DAEMON, End::Cut, Told::ByScope), OutcomeKind::Ok);
    assert_eq!(kind(ChildKind::LINKED, End::Stopped, Told::FromInside), OutcomeKind::Ok, "P5");
    assert_eq!(kind(ChildKind::LINKED, End::RuntimeEnded, Told::Nobody), OutcomeKind::Cancelled);
    assert_eq!(kind(DAEMON, End::RuntimeEnded, Told::Nobody), OutcomeKind::Cancelled);
    let failed = || End::Failed(Failure::Error("e"));
    assert_eq!(kind(ChildKind::LINKED, failed(), Told::ByScope), OutcomeKind::Cancelled);
    assert_eq!(kind(ChildKind::LINKED, failed(), Told::FromInside), OutcomeKind::Partial, "P5");
    assert_eq!(kind(ISOLATED, failed(), Told::ByScope), OutcomeKind::Partial);
    assert_eq!(kind(ChildKind::LINKED, End::AwaitedDead, Told::ByScope), OutcomeKind::Cancelled);
    assert_eq!(kind(ChildKind::LINKED, End::AwaitedDead, Told::FromInside), OutcomeKind::Ok);
}

#[test]
fn who_awaited_a_dead_child_fails_as_cancelled_and_ends_an_uncancelled_scope() {
    let mut world = World::new(Watch::FailFast);
    world.exits(ID, ChildKind::LINKED, End::AwaitedDead, Told::Nobody);
    assert_eq!(world.scope.cancelled().map(Cancelled::reason), Some(Reason::AwaitedChild));
    assert_eq!(world.kind(), OutcomeKind::Cancelled);
}

#[test]
fn a_failure_without_a_cancellation_leaves_no_cut() {
    let mut world = World::new(Watch::Supervise);
    world.fails(ChildKind::LINKED, Told::Nobody);
    drop(world.scope.cancel(CancelRequest::because(Reason::Requested), world.now));
    assert_eq!(world.kind(), OutcomeKind::Partial);
}

#[test]
fn a_refusal_makes_a_cancelled_scope_incomplete_and_no_other() {
    for (mut world, kind) in
        [(World::cancelled(Watch::FailFast), OutcomeKind::Cancelled), (World::new(Watch::FailFast), OutcomeKind::Ok)]
    {
        world.scope.note_refused();
        world.scope.note_refused();
        assert_eq!((world.scope.report().refused, world.kind()), (2, kind));
        drop(world.scope.cancel(CancelRequest::because(Reason::Requested), world.now));
        assert_eq!(world.kind(), kind, "a cancellation that comes later refused nobody");
    }
}

#[test]
fn a_panicking_destructor_is_a_panic_whatever_the_end_was() {
    for (end, failures) in [(End::Value, 1), (End::Failed(Failure::Error("e")), 2), (End::Cut, 1)] {
        let mut world = World::cancelled(Watch::FailFast);
        let exit = Exit { end, destructor: Some(Panic::new(Box::new("drop"))), told: Told::ByScope };
        drop(world.scope.child_exited(ID, ChildKind::LINKED, &Member::child(ID), exit, world.now));
        let report = world.scope.report();
        assert_eq!([report.failed, report.panicked, report.cancelled], [0, 1, 0]);
        drop(world.scope.body_ended(BodyEnd::Value, None, world.now));
        assert!(world.scope.drained(world.now).closed);
        let outcome = world.scope.finish(Some(()), 1);
        assert_eq!(outcome.failures().len(), failures, "P4");
        assert!(outcome.failures()[0].is_panic(), "P5");
    }
}

#[test]
fn a_claim_waits_for_the_verdict_on_its_child_and_on_no_other() {
    let mut world = World::new(Watch::Failures);
    for n in 0..2 {
        let id = ChildId::new(n);
        world.scope.expect_claim(id);
        assert!(world.exits(id, ChildKind::LINKED, End::Failed(Failure::Error("e")), Told::Nobody));
    }
    let (first, second, third) = (ChildId::new(0), ChildId::new(1), ChildId::new(2));
    assert!(matches!(world.scope.claim(second), Claim::Pending), "it is queued");
    let judging = world.scope.next_exit_to_judge().expect("two were queued");
    assert_eq!(judging.failures_before, 0);
    assert!(matches!(world.scope.claim(first), Claim::Pending), "it is under judgement");
    assert!(matches!(world.scope.claim(third), Claim::OwnedByScope));
    assert!(world.scope.judged(judging, Ok(Verdict::Continue), world.now).settled);
    assert!(matches!(world.scope.claim(first), Claim::Failure(Failure::Error("e"))));
    assert!(matches!(world.scope.claim(first), Claim::OwnedByScope), "once");
    let judging = world.scope.next_exit_to_judge().expect("one is left");
    assert_eq!(judging.failures_before, 1);
    drop(world.scope.judged(judging, Ok(Verdict::Cancel), world.now));
    assert!(matches!(world.scope.claim(second), Claim::OwnedByScope));
    assert_eq!(world.scope.cancelled().and_then(Cancelled::culprit), Some(&Member::child(second)));
    assert_eq!(world.kind(), OutcomeKind::Failed);
    assert!(world.scope.next_exit_to_judge().is_none());
}

#[test]
fn a_verdict_after_the_cancellation_makes_no_failure_primary() {
    let mut world = World::new(Watch::Failures);
    world.fails(ChildKind::LINKED, Told::Nobody);
    let judging = world.scope.next_exit_to_judge().expect("one was queued");
    drop(world.scope.cancel(CancelRequest::because(Reason::Requested), world.now));
    drop(world.scope.judged(judging, Ok(Verdict::Cancel), world.now));
    assert_eq!(world.kind(), OutcomeKind::Partial);
}

#[test]
fn a_success_that_ends_the_scope_is_named() {
    let mut world = World::new(Watch::All);
    world.exits(ID, ChildKind::LINKED, End::Value, Told::Nobody);
    let judging = world.scope.next_exit_to_judge().expect("one was queued");
    let told = world.scope.judged(judging, Ok(Verdict::Cancel), world.now).signal.expect("the policy cancels");
    assert_eq!((told.reason(), told.culprit()), (Reason::Policy, Some(&Member::child(ID))));
}

#[test]
fn a_failure_belongs_to_the_handle_as_long_as_there_is_one() {
    let mut world = World::new(Watch::Supervise);
    assert!(world.scope.handles_matter(ChildKind::LINKED) && world.scope.handles_matter(ISOLATED));
    world.scope.expect_claim(ID);
    world.fails(ChildKind::LINKED, Told::Nobody);
    assert_eq!(world.kind(), OutcomeKind::Ok, "it is the handle's");
    drop(world.scope.release(ID));
    assert_eq!(world.kind(), OutcomeKind::Partial, "unread, it joins the further failures");
    let fail_fast = World::new(Watch::FailFast).scope;
    assert!(!fail_fast.handles_matter(ChildKind::LINKED) && fail_fast.handles_matter(ISOLATED));
}

#[test]
fn a_body_that_ends_again_loses_no_failure() {
    let mut world = World::new(Watch::FailFast);
    drop(world.scope.body_ended(BodyEnd::Value, None, world.now));
    drop(world.scope.body_ended(BodyEnd::Failed(Failure::Error("late")), Some(Panic::new(Box::new("p"))), world.now));
    assert!(world.scope.drained(world.now).closed);
    let outcome = world.scope.finish(Some(()), 0);
    assert_eq!((outcome.kind(), outcome.failures().len()), (OutcomeKind::Partial, 2));
}

#[test]
fn a_body_that_fails_after_the_cancellation_was_cut_short() {
    let mut world = World::cancelled(Watch::FailFast);
    drop(world.scope.body_ended(BodyEnd::Failed(Failure::Error("e")), None, world.now));
    assert_eq!(world.kind(), OutcomeKind::Cancelled);
}

#[test]
fn a_finalizer_that_fails_masks_no_earlier_failure_and_ends_a_success() {
    for (cancelled, kind) in [(true, OutcomeKind::Partial), (false, OutcomeKind::Failed)] {
        let mut world = if cancelled { World::cancelled(Watch::FailFast) } else { World::new(Watch::FailFast) };
        assert!(world.scope.admit_finalizer());
        drop(world.scope.body_ended(BodyEnd::Value, None, world.now));
        assert!(world.scope.drained(world.now).run_finalizer);
        assert!(world.scope.finalizer_ended(Some(Failure::Error("commit")), world.now).closed);
        assert_eq!(world.kind(), kind);
    }
}

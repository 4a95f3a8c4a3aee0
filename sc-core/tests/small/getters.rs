//! What a value was given is what it says, whoever asks and in whatever form.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::panic::Location;
use std::time::{Duration, Instant};

use sc_core::{
    BodyEnd, CancelRequest, Cancelled, ChildExit, ChildId, ChildKind, Config, DeadChild, Deadline, End, Exit, Failure,
    Joiner, Member, Origin, Outcome, OutcomeKind, Panic, Policy, Quorum, RaceError, Reason, Role, Scope, ScopeId,
    Straggler, Supervise, Told, Verdict, Watch, policy_fn,
};

const BUDGET: Duration = Duration::from_secs(2);

#[allow(clippy::disallowed_methods, reason = "the test's one look at the clock; the scope is told the time")]
fn start() -> Instant {
    Instant::now()
}

fn origin() -> Origin {
    Origin::new(ScopeId::new(7), Some("page".into()), Location::caller())
}

fn scope<E>(watch: Watch, now: Instant) -> Scope<E> {
    let (origin, warn_after) = (origin(), Duration::from_secs(10));
    Scope::new(Config { origin, watch, grace: None, warn_after, deadline: None, opened_at: Some(now) })
}

fn notice(reason: Reason) -> Cancelled {
    scope::<()>(Watch::FailFast, start()).notice(CancelRequest::because(reason))
}

/// A closed scope whose body ended so.
fn outcome(end: BodyEnd<Broken>, destructor: Option<Panic>) -> Outcome<u8, Broken> {
    let now = start();
    let mut scope = scope(Watch::FailFast, now);
    drop(scope.body_ended(end, destructor, now));
    assert!(scope.drained(now).closed);
    scope.finish(Some(9), 0)
}

#[derive(Debug, PartialEq)]
struct Broken(&'static str, Option<io::ErrorKind>);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Broken {}

impl From<Cancelled> for Broken {
    fn from(cancelled: Cancelled) -> Self {
        Self("cancelled", Some(io::Error::from(cancelled).kind()))
    }
}

fn broken() -> Failure<Broken> {
    Failure::Error(Broken("disk", None))
}

fn panic() -> Panic {
    Panic::new(Box::new("boom"))
}

#[test]
fn a_number_is_the_one_it_was_made_of() {
    assert_eq!((ScopeId::new(7).get(), ScopeId::new(7).to_string()), (7, "7".to_owned()));
    assert_eq!((ChildId::new(7).get(), ChildId::new(7).to_string()), (7, "#7".to_owned()));
}

#[test]
fn an_origin_has_number_name_and_place() {
    let place = Location::caller();
    let origin = Origin::new(ScopeId::new(7), Some("page".into()), place);
    assert_eq!((origin.id(), origin.name(), origin.place()), (ScopeId::new(7), Some("page"), place));
    assert_eq!(origin.to_string(), format!("scope `page` ({}:{})", place.file(), place.line()));
    assert_eq!(Origin::new(ScopeId::new(7), None, place).name(), None);
}

#[test]
fn a_member_has_role_number_name_and_place() {
    let child = Member::child(ChildId::new(3));
    assert_eq!(
        (child.role(), child.id(), child.name(), child.place()),
        (Role::Child, Some(ChildId::new(3)), None, None)
    );
    assert_eq!(child.named(Some("x".into())).name(), Some("x"));
    for (member, role, text) in [
        (Member::body(), Role::Body, "the body"),
        (Member::policy(), Role::Policy, "the policy"),
        (Member::finalizer(), Role::Finalizer, "a finalizer"),
        (Member::some_child(), Role::Child, "a child"),
    ] {
        assert_eq!((member.role(), member.id(), member.to_string().as_str()), (role, None, text));
    }
}

#[test]
fn a_deadline_has_instant_owner_and_budget() {
    let now = start();
    let deadline = Deadline::new(now, origin(), Some(BUDGET));
    assert_eq!((deadline.at(), deadline.owner().id(), deadline.budget()), (now, ScopeId::new(7), Some(BUDGET)));
    assert_eq!(Deadline::new(now, origin(), None).budget(), None);
    assert!(deadline.has_passed(now) && !Deadline::new(now + BUDGET, origin(), None).has_passed(now));
    assert_eq!(Deadline::effective(None, Some(&deadline)), Some(&deadline));
}

#[test]
fn a_notice_says_who_and_why() {
    let cause = Box::new(Broken("disk", None));
    let mut scope = scope::<()>(Watch::FailFast, start());
    let told = scope.notice(CancelRequest::with_cause(Reason::Requested, cause));
    assert_eq!((told.reason(), told.origin().id()), (Reason::Requested, ScopeId::new(7)));
    assert!(!told.is_deadline() && !told.is_inherited() && told.culprit().is_none());
    assert_eq!(told.source().map(ToString::to_string), Some("disk".to_owned()));
    assert!(told.to_string().ends_with(": disk"), "{told}");
    let mut cancelled = self::scope::<()>(Watch::FailFast, start());
    let cause = Box::new(Broken("full", None));
    drop(cancelled.cancel(CancelRequest::with_cause(Reason::Requested, cause), start()));
    assert!(cancelled.cancelled().is_some_and(|told| told.cause::<Broken>().is_some_and(|cause| cause.0 == "full")));
    let cause = Box::new(Broken("deploy", None));
    let mut stopped = self::scope::<()>(Watch::FailFast, start());
    drop(stopped.stop_by(CancelRequest::with_cause(Reason::Shutdown, cause), None, start()));
    assert!(stopped.cancelled().is_some_and(|told| told.to_string().ends_with(": deploy")));
    drop(scope.inherit(&told, None, start()));
    let inherited = scope.cancelled().expect("the scope took it over");
    assert!(inherited.is_inherited() && inherited.to_string().ends_with(": disk, inherited"), "{inherited}");
    let debug = format!("{inherited:?}");
    assert!(debug.starts_with("Cancelled") && debug.contains("Requested") && debug.contains("page"), "{debug}");
    assert!(notice(Reason::Requested).source().is_none());
}

#[test]
fn every_reason_has_its_own_words() {
    let reasons = [Reason::Requested, Reason::Deadline, Reason::Policy, Reason::WorkDone, Reason::Shutdown];
    let mut texts = reasons.map(|reason| reason.to_string());
    assert_eq!(texts[0], "cancellation requested");
    texts.sort();
    assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{texts:?}");
}

#[test]
fn a_deadline_is_a_time_out_to_those_who_know_only_io_errors() {
    let kind = |reason| io::Error::from(notice(reason)).kind();
    assert_eq!(kind(Reason::Deadline), io::ErrorKind::TimedOut);
    assert_eq!(kind(Reason::Requested), io::ErrorKind::Other);
}

#[test]
fn a_passed_deadline_says_how_long_it_was_and_whose() {
    let now = start();
    let mut own = scope::<()>(Watch::FailFast, now);
    assert!(own.set_deadline(Some(Deadline::new(now + BUDGET, origin(), Some(BUDGET))), now).0);
    let told = own.tick(now + BUDGET).signal.expect("the deadline has come");
    assert!(told.to_string().starts_with("deadline of 2s expired in scope `page`"), "{told}");
    // A child that gives its own notice on as its failure ends the scope for the same reason.
    let child = ChildId::new(4);
    let told = own.notice_of_deadline(Member::child(child), BUDGET);
    assert!(told.is_deadline() && told.culprit() == Some(&Member::child(child)));
    assert!(told.to_string().starts_with("deadline of 2s of child #4 expired"), "{told}");
    let mut parent = scope::<()>(Watch::FailFast, now);
    let exit = Exit { end: End::Failed(Failure::Cancelled(told)), destructor: None, told: Told::Nobody };
    let signal = parent.child_exited(child, ChildKind::LINKED, &Member::child(child), exit, now).signal;
    let text = signal.map(|told| told.to_string()).unwrap_or_default();
    assert!(text.starts_with("deadline of 2s of child #4 expired"), "{text}");
}

#[test]
fn a_panic_keeps_payload_and_message() {
    for panic in [panic(), Panic::new(Box::new("boom".to_owned()))] {
        assert_eq!((panic.message(), panic.to_string()), (Some("boom"), "panicked: boom".to_owned()));
        assert_eq!(format!("{panic:?}"), "Panic(Some(\"boom\"))");
    }
    let mute = Panic::new(Box::new(42));
    assert_eq!((mute.message(), mute.to_string()), (None, "panicked".to_owned()));
    assert_eq!(mute.into_payload().downcast_ref::<i32>(), Some(&42));
    let dead = DeadChild::into_panic();
    assert!(dead.message().is_some_and(|text| text.contains("a child was needed that failed")));
    assert!(dead.into_payload().is::<DeadChild>());
}

#[test]
fn a_failure_is_one_thing_and_nothing_else() {
    let of = |failure: &Failure<Broken>| {
        let (error, panic, cancelled) = (failure.as_error(), failure.as_panic(), failure.as_cancelled());
        assert_eq!((panic.is_some(), cancelled.is_some()), (failure.is_panic(), failure.is_cancelled()));
        (error.is_some(), panic.is_some(), cancelled.is_some())
    };
    let cancelled = || Failure::Cancelled(notice(Reason::Deadline));
    assert_eq!(of(&broken()), (true, false, false));
    assert_eq!(of(&Failure::Panic(panic())), (false, true, false));
    assert_eq!(of(&cancelled()), (false, false, true));
    assert_eq!(of(&Failure::OwnedByScope), (false, false, false));
    assert_eq!(broken().map(|Broken(text, _)| text.len()).as_error(), Some(&4));
    assert_eq!(cancelled().into_error(), Broken("cancelled", Some(io::ErrorKind::TimedOut)));
    assert_eq!(Failure::<Broken>::Panic(panic()).to_string(), "panicked: boom");
    assert_eq!(Failure::<Broken>::OwnedByScope.to_string(), "failed; its scope has the error");
}

#[test]
fn a_failure_has_the_source_of_what_it_is() {
    let cause = Box::new(Broken("disk", None));
    let told = scope::<()>(Watch::FailFast, start()).notice(CancelRequest::with_cause(Reason::Requested, cause));
    assert!(Failure::<Broken>::Cancelled(told.clone()).source().is_some());
    assert!(broken().source().is_none());
    assert!(RaceError::<Broken>::Cancelled(told).source().is_some());
    assert!(RaceError::<Broken>::Empty.source().is_none());
}

#[test]
fn of_the_failures_of_one_moment_the_panic_is_primary() {
    let both = outcome(BodyEnd::Failed(broken()), Some(panic()));
    assert!(both.failures()[0].is_panic() && both.failures().len() == 2, "P5");
    let first = outcome(BodyEnd::Failed(Failure::Panic(panic())), Some(Panic::new(Box::new("later"))));
    assert_eq!(first.failures()[0].as_panic().and_then(Panic::message), Some("boom"), "of equals the first");
    let cut = outcome(BodyEnd::Failed(Failure::Cancelled(notice(Reason::Policy))), Some(panic()));
    assert_eq!(cut.kind(), OutcomeKind::Failed, "a cancellation is the last");
}

#[test]
fn an_outcome_gives_away_all_it_has() {
    let failed = || outcome(BodyEnd::Failed(broken()), None);
    assert_eq!((failed().value(), failed().into_value()), (Some(&9), Some(9)));
    assert_eq!(failed().into_failures().len(), 1);
    let (value, failures) = failed().into_parts();
    assert_eq!((value, failures.len()), (Some(9), 1));
    assert_eq!(failed().cancelled().map(Cancelled::reason), Some(Reason::ChildFailed));
    assert_eq!(failed().into_result(), Err(Broken("disk", None)));
    let (result, further) = failed().into_primary();
    assert!(matches!(result, Err(Failure::Error(Broken("disk", _)))) && further.is_empty());
    let mapped = failed().map_err(|Broken(text, _)| text.len());
    assert_eq!(
        (mapped.kind(), mapped.value(), mapped.failures()[0].as_error()),
        (OutcomeKind::Failed, Some(&9), Some(&4))
    );
    let fine = || outcome(BodyEnd::Value, None);
    assert!(fine().is_ok() && fine().cancelled().is_none() && fine().map_err(|_| ()).failures().is_empty());
    assert_eq!((fine().into_result(), fine().into_primary().0.ok()), (Ok(9), Some(9)));
}

#[test]
fn a_cut_scope_has_the_cancellation_as_its_result_and_says_so() {
    for (reason, kind, error) in [
        (Reason::Requested, OutcomeKind::Cancelled, io::ErrorKind::Other),
        (Reason::Deadline, OutcomeKind::DeadlineExceeded, io::ErrorKind::TimedOut),
    ] {
        let now = start();
        let mut scope = scope::<Broken>(Watch::FailFast, now);
        drop(scope.cancel(CancelRequest::because(reason), now));
        drop(scope.body_ended(BodyEnd::Cut, None, now));
        let end = scope.end();
        assert_eq!((end.kind(), end.is_ok(), end.cancelled().map(Cancelled::reason)), (kind, false, Some(reason)));
        assert!(scope.drained(now).closed);
        let outcome = scope.finish::<u8>(None, 0);
        let text = outcome.to_string();
        assert!(text.starts_with(&format!("{kind}: {reason} in scope `page`")), "{text}");
        assert_eq!(outcome.into_result(), Err(Broken("cancelled", Some(error))));
    }
}

#[test]
fn an_exit_says_who_what_and_how_many_before() {
    let member = Member::child(ChildId::new(3));
    let failure = broken();
    let exit = ChildExit::new(&member, Some(&failure), 5);
    assert_eq!((exit.member(), exit.failures_before(), exit.error()), (&member, 5, Some(&Broken("disk", None))));
    assert!(exit.failure().is_some() && !exit.is_panic());
    assert_eq!(Policy::<Broken>::watch(&Supervise), Watch::Supervise);
    assert_eq!(Supervise.decide(&exit), Verdict::Continue);
    let mut policy = policy_fn(
        |exit: &ChildExit<'_, Broken>| {
            if exit.error().is_some() { Verdict::Cancel } else { Verdict::Continue }
        },
    );
    assert_eq!(policy.decide(&exit), Verdict::Cancel);
    assert!(format!("{policy:?}").starts_with("PolicyFn { watch: Failures"), "{policy:?}");
}

#[test]
fn a_straggler_and_its_report_say_who_is_late() {
    let late = Straggler::new(Member::child(ChildId::new(3)), BUDGET);
    assert_eq!(late.to_string(), "child #3 still alive after 2s");
    let now = start();
    let mut scope = scope::<()>(Watch::FailFast, now);
    scope.note_stragglers(vec![late; 5]);
    let text = scope.report().to_string();
    assert!(text.ends_with("; child #3 still alive after 2s; and 2 more"), "{text}");
}

#[test]
fn a_race_that_nobody_could_win_says_why() {
    assert_eq!(RaceError::<Broken>::Empty.to_string(), "a race of nobody has no winner");
    assert_eq!(RaceError::<Broken>::TooFew { needed: 3, given: 2 }.to_string(), "3 successes were asked of 2");
    let cut = RaceError::<Broken>::Cancelled(notice(Reason::Requested));
    assert!(cut.is_cancelled() && cut.as_cancelled().is_some() && cut.failures().is_empty());
    assert!(cut.to_string().starts_with("cancellation requested in"), "{cut}");
    let lost = RaceError::Failed(vec![broken()]);
    assert!(!lost.is_cancelled() && lost.as_cancelled().is_none());
    assert_eq!((lost.failures().len(), lost.into_failures().len()), (1, 1));
    let mut nobody = Quorum::<u8, Broken>::new(0);
    assert_eq!(nobody.begin(3), ControlFlow::Break(()), "won at once");
}

#[test]
fn a_scope_knows_what_it_was_told() {
    let now = start();
    let mut scope = scope::<()>(Watch::All, now);
    assert_eq!(scope.config().origin.id(), ScopeId::new(7));
    assert!(scope.watches_successes() && !self::scope::<()>(Watch::Failures, now).watches_successes());
    assert!(!scope.is_told_in_turn());
    scope.told_in_turn();
    assert!(scope.is_told_in_turn());
    let id = ChildId::new(3);
    assert!(scope.admit_daemon(id, None) && scope.admit_daemon(ChildId::new(5), None));
    assert!(scope.is_daemon(id) && !scope.is_daemon(ChildId::new(4)));
    assert!(scope.admit_finalizer() && scope.admit_finalizer());
    assert_eq!((scope.daemons(), scope.finalizers()), (2, 2));
    assert!(!scope.is_drained() && scope.next_warning().is_none() && scope.deadline().is_none());
    drop(scope.body_ended(BodyEnd::Value, None, now));
    let warning = scope.next_warning();
    assert_eq!(warning, Some(now + Duration::from_secs(10)));
    let slow = scope.tick(now + Duration::from_secs(10)).slow.expect("it is worth a message now");
    assert_eq!((slow.draining, slow.waited), (false, Duration::from_secs(10)));
    assert_eq!(scope.next_warning(), Some(now + Duration::from_secs(20)));
    drop(scope.drained(now));
    assert!(scope.is_drained());
}

#[test]
fn what_failed_panicked_or_was_cut_did_not_succeed() {
    let now = start();
    let mut scope = scope::<Broken>(Watch::Supervise, now);
    let ends = [End::Failed(broken()), End::Failed(Failure::Panic(panic())), End::Stopped, End::Stopped];
    for (n, end) in ends.into_iter().enumerate() {
        let id = ChildId::new(n as u64);
        let exit = Exit { end, destructor: None, told: Told::Nobody };
        drop(scope.child_exited(id, ChildKind::LINKED, &Member::child(id), exit, now));
    }
    drop(scope.body_ended(BodyEnd::Value, None, now));
    assert!(scope.drained(now).closed);
    let outcome = scope.finish(Some(()), 10);
    let report = outcome.report();
    assert_eq!([report.succeeded, report.failed, report.panicked, report.cancelled], [6, 1, 1, 2]);
}

//! Every input of a scope, in the variants that make a difference.

use std::time::Instant;

use sc_core::{
    BodyEnd, CancelRequest, Cancelled, ChildId, ChildKind, Claim, Deadline, Effects, End, Exit, Failure, FailureRecord,
    Member, Panic, Reason, Scope, Told, Verdict,
};

use super::states::{CHILD, DAEMON, DAEMON_KIND, NEWER_DAEMON, Scoped, origin, requested, seconds, start};

/// What an input gave back.
pub(crate) enum Given {
    Effects(Effects<&'static str>),
    /// Whether it was accepted, and what then follows.
    Asked(bool, Option<Effects<&'static str>>),
    /// Nothing but a change of the scope.
    Nothing,
    /// There is nothing that this input could be about.
    NotHere,
}

pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) give: fn(&mut Scoped, Instant) -> Given,
}

macro_rules! inputs {
    ($($name:literal => |$scope:ident, $now:pat_param| $give:expr;)+) => {
        pub(crate) const ALL: &[Input] = &[$(Input { name: $name, give: |$scope: &mut Scoped, $now| $give }),+];
    };
}

inputs! {
    "admit_daemon" => |scope, _| Given::Asked(scope.admit_daemon(ChildId::new(9), None), None);
    "admit_daemon, one that is here" => |scope, _| Given::Asked(scope.admit_daemon(DAEMON, None), None);
    "admit_finalizer" => |scope, _| Given::Asked(scope.admit_finalizer(), None);
    "daemon_scope_opened" => |scope, _| { scope.daemon_scope_opened(DAEMON); Given::Nothing };
    "daemon_scope_closed" => |scope, now| Given::Effects(scope.daemon_scope_closed(DAEMON, now));
    "note_refused" => |scope, _| { scope.note_refused(); Given::Nothing };
    "child_exited: error" => |scope, now| child(scope, now, LINKED, failed(), Told::Nobody);
    "child_exited: error, told by the scope" => |scope, now| child(scope, now, LINKED, failed(), Told::ByScope);
    "child_exited: error, told from inside" => |scope, now| child(scope, now, LINKED, failed(), Told::FromInside);
    "child_exited: error, isolated" => |scope, now| child(scope, now, ISOLATED, failed(), Told::Nobody);
    "child_exited: panic" => |scope, now| child(scope, now, LINKED, panicked(), Told::Nobody);
    "child_exited: destructor" => |scope, now| {
        let exit = Exit { end: End::Value, destructor: Some(panic()), told: Told::Nobody };
        Given::Effects(scope.child_exited(CHILD, LINKED, &Member::child(CHILD), exit, now))
    };
    "child_exited: cut" => |scope, now| child(scope, now, LINKED, End::Cut, Told::ByScope);
    "child_exited: stopped from inside" => |scope, now| child(scope, now, LINKED, End::Stopped, Told::FromInside);
    "child_exited: awaited a dead one" => |scope, now| child(scope, now, LINKED, End::AwaitedDead, Told::Nobody);
    "child_exited: its runtime ended" => |scope, now| child(scope, now, LINKED, End::RuntimeEnded, Told::Nobody);
    "child_exited: value of a daemon" => |scope, now| daemon(scope, now, DAEMON, End::Value, Told::Nobody);
    "child_exited: error of a daemon" => |scope, now| daemon(scope, now, DAEMON, failed(), Told::Nobody);
    "child_exited: daemon stopped" => |scope, now| daemon(scope, now, DAEMON, End::Stopped, Told::FromInside);
    "child_exited: newer daemon cut" => |scope, now| daemon(scope, now, NEWER_DAEMON, End::Cut, Told::ByScope);
    "child_cut" => |scope, _| { scope.child_cut(); Given::Nothing };
    "body_ended: value" => |scope, now| Given::Effects(scope.body_ended(BodyEnd::Value, None, now));
    "body_ended: error" => |scope, now| Given::Effects(scope.body_ended(BodyEnd::Failed(Failure::Error("b")), None, now));
    "body_ended: destructor" => |scope, now| Given::Effects(scope.body_ended(BodyEnd::Value, Some(panic()), now));
    "body_ended: cut" => |scope, now| Given::Effects(scope.body_ended(BodyEnd::Cut, None, now));
    "body_ended: awaited a dead one" => |scope, now| Given::Effects(scope.body_ended(BodyEnd::AwaitedDead, None, now));
    "ended_alone" => |scope, now| {
        let effects = scope.ended_alone(|| now);
        Given::Asked(effects.is_some(), effects)
    };
    "drained" => |scope, now| Given::Effects(scope.drained(now));
    "cancel" => |scope, now| Given::Effects(scope.cancel(requested(), now));
    "inherit" => |scope, now| Given::Effects(scope.inherit(&from_above(), Some(now + seconds(3)), now));
    "stop_by, later" => |scope, now| Given::Effects(scope.stop_by(shut_down(), Some(now + seconds(3)), now));
    "stop_by, now" => |scope, now| Given::Effects(scope.stop_by(shut_down(), Some(now), now));
    "stop_by, never" => |scope, now| Given::Effects(scope.stop_by(shut_down(), None, now));
    "hasten" => |scope, now| Given::Effects(scope.hasten(Some(now), now));
    "tick, nothing due" => |scope, now| Given::Effects(scope.tick(now));
    "tick, the next timer" => |scope, _| match scope.next_timer() {
        Some(at) => Given::Effects(scope.tick(at)),
        None => Given::NotHere,
    };
    "tick, after the deadline" => |scope, _| Given::Effects(scope.tick(start() + seconds(60)));
    "tick, after its patience" => |scope, _| match scope.next_warning() {
        Some(at) => Given::Effects(scope.tick(at)),
        None => Given::NotHere,
    };
    "cut_grace" => |scope, now| Given::Effects(scope.cut_grace(now));
    "set_deadline, earlier" => |scope, now| {
        let deadline = Deadline::new(now + seconds(5), origin(1), None);
        let (moved, effects) = scope.set_deadline(Some(deadline), now);
        Given::Asked(moved, Some(effects))
    };
    "set_deadline, none" => |scope, now| {
        let (moved, effects) = scope.set_deadline(None, now);
        Given::Asked(moved, Some(effects))
    };
    "set_deadline, when it has passed" => |scope, _| {
        let (moved, effects) = scope.set_deadline(None, start() + seconds(60));
        Given::Asked(moved, Some(effects))
    };
    "inherit_deadline, earlier" => |scope, _| {
        Given::Effects(scope.inherit_deadline(Some(Deadline::new(start() + seconds(59), origin(7), None))))
    };
    "inherit_deadline, later" => |scope, _| {
        Given::Effects(scope.inherit_deadline(Some(Deadline::new(start() + seconds(61), origin(7), None))))
    };
    "future_dropped" => |scope, now| Given::Effects(scope.future_dropped(now));
    "opener_ended" => |scope, now| Given::Effects(scope.opener_ended(now));
    "future_dropped, a second time" => |scope, now| {
        drop(scope.opener_ended(now));
        Given::Effects(scope.future_dropped(now))
    };
    "finalizer_ended" => |scope, now| Given::Effects(scope.finalizer_ended(None, now));
    "finalizer_ended: error" => |scope, now| Given::Effects(scope.finalizer_ended(Some(Failure::Error("f")), now));
    "runtime_ended" => |scope, now| Given::Effects(scope.runtime_ended(now).1);
    "judged: continue" => |scope, now| judge(scope, now, Ok(Verdict::Continue));
    "judged: cancel" => |scope, now| judge(scope, now, Ok(Verdict::Cancel));
    "judged: panic" => |scope, now| judge(scope, now, Err(panic()));
    "failed" => |scope, now| Given::Effects(scope.failed(record(), now));
    "unclaimed" => |scope, _| Given::Effects(scope.unclaimed(record()));
    "claim of an isolated failure" => |scope, now| {
        scope.expect_claim(CHILD);
        let effects = isolated_error(scope, now);
        Given::Asked(matches!(scope.claim(CHILD), Claim::Failure(Failure::Error("e"))), Some(effects))
    };
    "release before the exit" => |scope, now| {
        scope.expect_claim(CHILD);
        drop(scope.release(CHILD));
        Given::Effects(isolated_error(scope, now))
    };
    "release after the exit" => |scope, now| {
        scope.expect_claim(CHILD);
        drop(isolated_error(scope, now));
        Given::Effects(scope.release(CHILD))
    };
    "finish" => |scope, _| { drop(scope.finish(Some(1), 1)); Given::Nothing };
}

const LINKED: ChildKind = ChildKind::LINKED;
const ISOLATED: ChildKind = ChildKind { daemon: false, isolated: true };

const fn failed() -> End<&'static str> {
    End::Failed(Failure::Error("e"))
}

fn panic() -> Panic {
    Panic::new(Box::new("p"))
}

fn panicked() -> End<&'static str> {
    End::Failed(Failure::Panic(panic()))
}

const fn shut_down() -> CancelRequest {
    CancelRequest::because(Reason::Shutdown)
}

const fn record() -> FailureRecord<&'static str> {
    FailureRecord { member: Member::finalizer(), failure: Failure::Error("r") }
}

/// A cancellation of an ancestor.
fn from_above() -> Cancelled {
    let config =
        sc_core::Config { origin: origin(7), ..super::states::scope(sc_core::Watch::FailFast).config().clone() };
    Scope::<()>::new(config).notice(CancelRequest::because(Reason::External))
}

fn child(scope: &mut Scoped, now: Instant, kind: ChildKind, end: End<&'static str>, told: Told) -> Given {
    let exit = Exit { end, destructor: None, told };
    Given::Effects(scope.child_exited(CHILD, kind, &Member::child(CHILD), exit, now))
}

fn daemon(scope: &mut Scoped, now: Instant, id: ChildId, end: End<&'static str>, told: Told) -> Given {
    let exit = Exit { end, destructor: None, told };
    Given::Effects(scope.child_exited(id, DAEMON_KIND, &Member::child(id), exit, now))
}

fn isolated_error(scope: &mut Scoped, now: Instant) -> Effects<&'static str> {
    let exit = Exit { end: failed(), destructor: None, told: Told::Nobody };
    scope.child_exited(CHILD, ISOLATED, &Member::child(CHILD), exit, now)
}

fn judge(scope: &mut Scoped, now: Instant, verdict: Result<Verdict, Panic>) -> Given {
    match scope.next_exit_to_judge() {
        Some(exit) => Given::Effects(scope.judged(exit, verdict, now)),
        None => Given::NotHere,
    }
}

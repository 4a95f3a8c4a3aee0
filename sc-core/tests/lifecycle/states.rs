//! The states a scope is driven into, each by the inputs that lead there.
//!
//! Every scope has a deadline 60 s after it was opened, a grace of 10 s, and is patient for 30 s: so each timer is seen
//! apart from the others.

use std::panic::Location;
use std::time::{Duration, Instant};

use sc_core::{
    BodyEnd, CancelRequest, ChildId, ChildKind, Config, Deadline, End, Exit, Failure, Member, Origin, Reason, Scope,
    ScopeId, Told, Watch,
};

pub(crate) type Scoped = Scope<&'static str>;

pub(crate) struct State {
    pub(crate) name: &'static str,
    /// The scope in that state, and the time there.
    pub(crate) reach: fn() -> (Scoped, Instant),
}

pub(crate) const CHILD: ChildId = ChildId::new(1);
pub(crate) const DAEMON: ChildId = ChildId::new(2);
pub(crate) const NEWER_DAEMON: ChildId = ChildId::new(3);
pub(crate) const DAEMON_KIND: ChildKind = ChildKind { daemon: true, isolated: false };

pub(crate) const ALL: &[State] = &[
    State { name: "Open", reach: open },
    State { name: "Open, without a deadline", reach: open_for_ever },
    State { name: "Open, with a daemon and a finalizer", reach: open_with_all },
    State { name: "Closing", reach: closing },
    State { name: "Closing, with a daemon and a finalizer", reach: closing_with_all },
    State { name: "Draining in its grace, the body running", reach: in_grace },
    State { name: "Draining in its grace, the body ended", reach: in_grace_without_body },
    State { name: "Draining in its grace, with a daemon and a finalizer", reach: in_grace_with_all },
    State { name: "Draining, stopped", reach: stopped },
    State { name: "Draining, stopped, with a daemon and a finalizer", reach: stopped_with_all },
    State { name: "Draining without an end of its grace", reach: endless },
    State { name: "Draining, work done, a daemon in its grace", reach: daemon_in_grace },
    State { name: "Draining, work done, a daemon stopped", reach: daemon_stopped },
    State { name: "Draining, work done, a scope of a daemon open", reach: daemon_scope },
    State { name: "Draining, work done, an older daemon left", reach: two_daemons },
    State { name: "Draining, cancelled, a daemon in its grace", reach: cancelled_daemon },
    State { name: "Draining, work done, an exit to judge", reach: to_judge },
    State { name: "Finalizing, one finalizer left", reach: finalizing },
    State { name: "Finalizing, the last finalizer", reach: finalizing_last },
    State { name: "Finalizing after a cancellation", reach: finalizing_cancelled },
    State { name: "Closed", reach: closed },
];

#[allow(clippy::disallowed_methods, reason = "an arbitrary origin; an `Instant` cannot be made otherwise")]
pub(crate) fn start() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now)
}

pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn after(n: u64) -> Instant {
    start() + seconds(n)
}

pub(crate) fn origin(n: u64) -> Origin {
    Origin::new(ScopeId::new(n), None, Location::caller())
}

pub(crate) const fn requested() -> CancelRequest {
    CancelRequest::because(Reason::Requested)
}

pub(crate) fn scope(watch: Watch) -> Scoped {
    Scope::new(Config {
        origin: origin(1),
        watch,
        grace: Some(seconds(10)),
        warn_after: seconds(30),
        deadline: Some(Deadline::new(after(60), origin(1), Some(seconds(60)))),
        opened_at: Some(start()),
    })
}

fn open() -> (Scoped, Instant) {
    (scope(Watch::FailFast), after(1))
}

fn open_for_ever() -> (Scoped, Instant) {
    let (mut scope, now) = open();
    let (moved, effects) = scope.set_deadline(None, now);
    assert!(moved && effects.rearm);
    (scope, now)
}

fn open_with_all() -> (Scoped, Instant) {
    let mut scope = scope(Watch::FailFast);
    assert!(scope.admit_daemon(DAEMON, None) && scope.admit_finalizer());
    (scope, after(1))
}

fn with_body_ended((mut scope, now): (Scoped, Instant)) -> (Scoped, Instant) {
    drop(scope.body_ended(BodyEnd::Value, None, now));
    (scope, now + seconds(1))
}

fn with_cancel((mut scope, now): (Scoped, Instant)) -> (Scoped, Instant) {
    drop(scope.cancel(requested(), now));
    (scope, now + seconds(1))
}

fn with_drained((mut scope, now): (Scoped, Instant)) -> (Scoped, Instant) {
    drop(scope.drained(now));
    (scope, now + seconds(1))
}

fn with_grace_over((mut scope, now): (Scoped, Instant)) -> (Scoped, Instant) {
    drop(scope.tick(now + seconds(10)));
    (scope, now + seconds(11))
}

fn closing() -> (Scoped, Instant) {
    with_body_ended(open())
}

fn closing_with_all() -> (Scoped, Instant) {
    with_body_ended(open_with_all())
}

fn in_grace() -> (Scoped, Instant) {
    with_cancel(open())
}

fn in_grace_without_body() -> (Scoped, Instant) {
    with_cancel(closing())
}

fn in_grace_with_all() -> (Scoped, Instant) {
    with_cancel(closing_with_all())
}

fn stopped() -> (Scoped, Instant) {
    with_grace_over(in_grace())
}

fn stopped_with_all() -> (Scoped, Instant) {
    with_grace_over(in_grace_with_all())
}

fn endless() -> (Scoped, Instant) {
    let (mut scope, now) = closing();
    drop(scope.stop_by(requested(), None, now));
    (scope, now + seconds(1))
}

fn daemon_in_grace() -> (Scoped, Instant) {
    with_drained(closing_with_all())
}

fn daemon_stopped() -> (Scoped, Instant) {
    with_grace_over(daemon_in_grace())
}

fn daemon_scope() -> (Scoped, Instant) {
    let (mut scope, now) = daemon_stopped();
    scope.daemon_scope_opened(DAEMON);
    let exit = Exit { end: End::Stopped, destructor: None, told: Told::FromInside };
    drop(scope.child_exited(DAEMON, DAEMON_KIND, &Member::child(DAEMON), exit, now));
    (scope, now + seconds(1))
}

fn two_daemons() -> (Scoped, Instant) {
    let (mut scope, now) = closing_with_all();
    assert!(scope.admit_daemon(NEWER_DAEMON, Some(seconds(20))));
    with_drained((scope, now))
}

fn cancelled_daemon() -> (Scoped, Instant) {
    with_drained(in_grace_with_all())
}

fn to_judge() -> (Scoped, Instant) {
    let mut scope = scope(Watch::All);
    let exit = Exit { end: End::Failed(Failure::Error("judge me")), destructor: None, told: Told::Nobody };
    drop(scope.child_exited(CHILD, ChildKind::LINKED, &Member::child(CHILD), exit, after(1)));
    with_drained(with_body_ended((scope, after(1))))
}

fn finalizing() -> (Scoped, Instant) {
    let (mut scope, now) = closing();
    assert!(scope.admit_finalizer() && scope.admit_finalizer());
    with_drained((scope, now))
}

fn finalizing_last() -> (Scoped, Instant) {
    let (mut scope, now) = closing();
    assert!(scope.admit_finalizer());
    with_drained((scope, now))
}

fn finalizing_cancelled() -> (Scoped, Instant) {
    let (mut scope, now) = in_grace_without_body();
    assert!(scope.admit_finalizer());
    with_drained((scope, now))
}

fn closed() -> (Scoped, Instant) {
    with_drained(closing())
}

//! The worlds that are explored, one per group of promises.
//!
//! With `SC_EXPLORE=deep` each has more children or more that can happen to them.

use sc_core::{FAILURES_KEPT, Reason, Watch};

use super::setup::{Opener, ScopeSetup, Setup, TaskSetup};
use super::words::{ClaimHow, Event, How};

/// Whether the larger worlds were asked for.
pub(crate) fn deep() -> bool {
    std::env::var("SC_EXPLORE").is_ok_and(|value| value == "deep")
}

fn tasks(few: usize, many: usize, task: &TaskSetup) -> Vec<TaskSetup> {
    vec![task.clone(); if deep() { many } else { few }]
}

/// Every way in which children and body can fail, against a cancellation.
pub(crate) fn failures() -> Setup {
    let every = [How::Ok, How::Err, How::Panic, How::OkDtor, How::ErrDtor];
    let scope = ScopeSetup {
        body: vec![How::Ok, How::Err, How::Panic, How::OkDtor, How::ErrDtor],
        cancels: vec![Reason::Requested],
        grace: Some(1),
        destructors: true,
        ..ScopeSetup::new(tasks(2, 3, &TaskSetup::linked(&every)))
    };
    Setup::new("failures", vec![scope])
}

/// Four children, among them isolated and late ones, and two cancellations.
pub(crate) fn four_children() -> Setup {
    let ends = [How::Ok, How::Err];
    let children = vec![
        TaskSetup::linked(&ends),
        TaskSetup::linked(&ends).lazy(),
        TaskSetup::isolated(&ends),
        TaskSetup::linked(if deep() { &ends } else { &ends[..1] }).late(),
    ];
    let scope = ScopeSetup {
        cancels: vec![Reason::Requested, Reason::External],
        body: vec![How::Ok, How::Err],
        ..ScopeSetup::new(children)
    };
    Setup::new("four children", vec![scope])
}

/// Children that await each other's remains, are stopped by their handles, or lose their runtime.
pub(crate) fn dead_children() -> Setup {
    let children = vec![
        TaskSetup::linked(&[How::Ok, How::Err, How::AwaitedDead]).stoppable(),
        TaskSetup::linked(&[How::Ok, How::AwaitedDead, How::RuntimeEnded]).stoppable(),
        TaskSetup::isolated(&[How::Ok, How::Panic, How::AwaitedDead]).stoppable(),
    ];
    let scope = ScopeSetup {
        cancels: vec![Reason::Requested],
        body: vec![How::Ok, How::AwaitedDead],
        destructors: deep(),
        ..ScopeSetup::new(children)
    };
    Setup::new("dead children", vec![scope])
}

fn claimed(watch: Watch) -> ScopeSetup {
    let ends = [How::Ok, How::Err, How::ErrDtor];
    let mut children = vec![
        TaskSetup::linked(&ends).with_handle(),
        TaskSetup::isolated(&ends[..2]).with_handle(),
        TaskSetup::linked(&[How::Ok, How::Panic]),
    ];
    if deep() {
        children.push(TaskSetup::linked(&[How::Ok, How::Err]).with_handle().stoppable());
    }
    ScopeSetup {
        watch,
        claims: vec![ClaimHow::Join, ClaimHow::Await, ClaimHow::Return],
        cancels: vec![Reason::Requested],
        drop: true,
        forget: true,
        ..ScopeSetup::new(children)
    }
}

/// Failures that belong to handles: claimed, awaited, given back, left unread.
pub(crate) fn supervised() -> Setup {
    Setup::new("supervised", vec![claimed(Watch::Supervise)])
}

/// The same under the default policy, where only isolated children's failures can be claimed.
pub(crate) fn fail_fast_claims() -> Setup {
    Setup::new("claims under fail-fast", vec![claimed(Watch::FailFast)])
}

fn judged(watch: Watch) -> ScopeSetup {
    let ends = [How::Ok, How::Err];
    let mut children = vec![
        TaskSetup::linked(&ends).with_handle(),
        TaskSetup::linked(&[How::Ok, How::ErrDtor]),
        TaskSetup::daemon(&ends),
    ];
    if deep() {
        children.push(TaskSetup::linked(&[How::Ok, How::AwaitedDead]).stoppable());
    }
    ScopeSetup {
        watch,
        claims: vec![ClaimHow::Join, ClaimHow::Await],
        drop: deep() || watch == Watch::Failures,
        cancels: vec![Reason::Requested],
        finalizers: 1,
        ..ScopeSetup::new(children)
    }
}

/// A policy that judges failures, with every verdict, and one that panics.
pub(crate) fn judged_failures() -> Setup {
    Setup::new("judged failures", vec![judged(Watch::Failures)])
}

/// The same for a policy that sees successes too.
pub(crate) fn judged_exits() -> Setup {
    Setup::new("judged exits", vec![judged(Watch::All)])
}

/// Two daemons and two finalizers under every way to end the scope.
pub(crate) fn teardown() -> Setup {
    let daemon = TaskSetup::daemon(&[How::Ok, How::Err]);
    let mut children = vec![TaskSetup::linked(&[How::Ok, How::Err]), daemon.clone(), daemon.clone()];
    if deep() {
        children.push(daemon.late());
    }
    let scope = ScopeSetup {
        grace: Some(1),
        cancels: vec![Reason::Requested],
        finalizers: 1,
        defer: true,
        finalizer_ends: vec![How::Ok, How::Err],
        drop: true,
        forget: deep(),
        ..ScopeSetup::new(children)
    };
    Setup::new("teardown", vec![scope])
}

/// Daemons with graces of their own, shorter and longer than the scope's, which they have at a normal end too.
pub(crate) fn graces_of_daemons() -> Setup {
    let daemon = |grace| TaskSetup::daemon(&[How::Ok]).with_grace(grace);
    let mut children = vec![TaskSetup::linked(&[How::Ok]), daemon(2), TaskSetup::daemon(&[How::Ok]), daemon(0)];
    if deep() {
        children.push(daemon(3).late().stoppable());
    }
    let scope = ScopeSetup {
        grace: Some(1),
        cancels: vec![Reason::Requested],
        drop: true,
        destructors: deep(),
        ..ScopeSetup::new(children)
    };
    Setup { horizon: 8, ..Setup::new("graces of daemons", vec![scope]) }
}

/// Daemons that come late, stop by themselves or by their handle, with and without a cancellation.
pub(crate) fn late_daemons() -> Setup {
    let children = vec![
        TaskSetup::linked(&[How::Ok]),
        TaskSetup::daemon(&[How::Ok, How::Panic]).late().lazy(),
        TaskSetup::daemon(&[How::Ok]).late().stoppable(),
        TaskSetup::linked(&[How::Ok]).late(),
    ];
    let scope = ScopeSetup {
        cancels: if deep() { vec![Reason::Requested, Reason::External] } else { vec![Reason::Requested] },
        finalizers: 1,
        drop: true,
        destructors: true,
        ..ScopeSetup::new(children)
    };
    Setup::new("late daemons", vec![scope])
}

/// A scope's own deadline that moves while the grace, a cancellation and a slow end run.
pub(crate) fn deadline() -> Setup {
    let scope = ScopeSetup {
        deadline: Some(2),
        deadlines: vec![Some(1), None, Some(3)],
        grace: Some(1),
        warn_after: Some(1),
        cancels: vec![Reason::Requested],
        drop: true,
        ..ScopeSetup::new(vec![TaskSetup::linked(&[How::Ok, How::Err]), TaskSetup::daemon(&[How::Ok])])
    };
    Setup { horizon: 5, ..Setup::new("deadline", vec![scope]) }
}

fn nested(opener: Opener, outer: ScopeSetup, inner: ScopeSetup) -> Vec<ScopeSetup> {
    vec![outer, ScopeSetup { opener, ..inner }]
}

/// A nested scope in the outer one's body, with every way in which futures and frames can go.
pub(crate) fn nested_in_the_body() -> Setup {
    let ends = [How::Ok, How::Err];
    let outer = ScopeSetup {
        cancels: vec![Reason::Requested],
        drop: true,
        forget: true,
        ..ScopeSetup::new(tasks(1, 2, &TaskSetup::linked(&ends)))
    };
    let inner = ScopeSetup {
        cancels: vec![Reason::External],
        drop: true,
        forget: true,
        finalizers: 1,
        ..ScopeSetup::new(tasks(1, 2, &TaskSetup::linked(&ends)))
    };
    Setup::new("nested in the body", nested(Opener::Body(0), outer, inner))
}

/// A nested scope in a child of the outer one, opened at any time, with graces of its own.
pub(crate) fn nested_in_a_child() -> Setup {
    let ends = [How::Ok, How::Err];
    let outer = ScopeSetup {
        grace: Some(1),
        cancels: vec![Reason::Requested],
        drop: true,
        ..ScopeSetup::new(vec![TaskSetup::linked(&ends).stoppable()])
    };
    let inner = ScopeSetup {
        late: true,
        drop: true,
        forget: true,
        destructors: true,
        finalizers: 1,
        ..ScopeSetup::new(tasks(1, 2, &TaskSetup::linked(&ends)))
    };
    Setup::new("nested in a child", nested(Opener::Task(0, 0), outer, inner))
}

/// Deadlines of an outer and a nested scope, equal at first, each moving, with graces.
pub(crate) fn nested_deadlines() -> Setup {
    let child = || vec![TaskSetup::linked(&[How::Ok])];
    let outer = ScopeSetup {
        deadline: Some(2),
        deadlines: vec![Some(1), Some(3)],
        grace: Some(1),
        ..ScopeSetup::new(if deep() { child() } else { Vec::new() })
    };
    let inner = ScopeSetup {
        deadline: Some(2),
        deadlines: vec![Some(1), None],
        grace: None,
        late: true,
        drop: true,
        cancels: vec![Reason::Requested],
        ..ScopeSetup::new(child())
    };
    Setup::new("nested deadlines", nested(Opener::Body(0), outer, inner))
}

/// Three scopes in each other: reasons, deadlines and stops pass through the one in the middle.
pub(crate) fn three_levels() -> Setup {
    let child = |ends: &[How]| vec![TaskSetup::linked(ends)];
    let outer = ScopeSetup { grace: Some(1), deadline: Some(1), drop: true, ..ScopeSetup::new(child(&[How::Ok])) };
    let middle = ScopeSetup {
        opener: Opener::Body(0),
        forget: deep(),
        cancels: vec![Reason::Requested],
        ..ScopeSetup::new(child(&[How::Ok, How::Err]))
    };
    let inner = ScopeSetup {
        opener: Opener::Task(1, 0),
        forget: true,
        finalizers: 1,
        ..ScopeSetup::new(child(if deep() { &[How::Ok, How::Err] } else { &[How::Ok] }))
    };
    Setup::new("three levels", vec![outer, middle, inner])
}

/// A list of failures that is full when the search begins: what comes then has no room, except for
/// the primary one.
pub(crate) fn full_list() -> Setup {
    let mut children = vec![TaskSetup::isolated(&[How::Err]); FAILURES_KEPT];
    children.extend(tasks(2, 3, &TaskSetup::linked(&[How::Ok, How::Err, How::ErrDtor])));
    children.push(TaskSetup::isolated(&[How::Panic]).with_handle());
    let scope = ScopeSetup {
        finalizers: 1,
        finalizer_ends: vec![How::Ok, How::Err],
        claims: vec![ClaimHow::Join, ClaimHow::Return],
        ..ScopeSetup::new(children)
    };
    let prologue = (0..FAILURES_KEPT).map(|t| Event::Exit(0, t, How::Err)).collect();
    Setup { prologue, ..Setup::new("full list", vec![scope]) }
}

/// The runtime ends under a scope that only waits for daemons and finalizers.
pub(crate) fn runtime_end() -> Setup {
    let mut children = vec![TaskSetup::linked(&[How::Ok, How::Err])];
    children.extend(tasks(2, 3, &TaskSetup::daemon(&[How::Ok, How::Err])));
    let scope = ScopeSetup {
        runtime_ends: true,
        grace: Some(1),
        cancels: vec![Reason::Requested],
        finalizers: 2,
        finalizer_ends: vec![How::Ok, How::Err],
        drop: true,
        ..ScopeSetup::new(children)
    };
    Setup::new("runtime end", vec![scope])
}

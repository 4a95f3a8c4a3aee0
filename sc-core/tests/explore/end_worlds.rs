//! Worlds of the ends that somebody else sets: shutdowns, graces that nobody times, shields, children with deadlines of
//! their own and children that are started.

use sc_core::{Reason, Watch};

use super::setup::{Opener, ScopeSetup, Setup, TaskSetup};
use super::words::{ClaimHow, How};
use super::worlds::deep;

/// An owned scope with a grace, shut down before and after it is cancelled, with daemons that share and that do not.
pub(crate) fn shut_down() -> Setup {
    let daemon = TaskSetup::daemon(&[How::Ok]);
    let mut children = vec![TaskSetup::linked(&[How::Ok, How::Err]), daemon.clone(), daemon.clone().with_grace(2)];
    if deep() {
        children.push(daemon.late());
        children.push(TaskSetup::linked(&[How::Ok, How::AwaitedDead]).late().stoppable());
    }
    let scope = ScopeSetup {
        owned: true,
        grace: Some(1),
        shut_downs: vec![Some(2), Some(0)],
        cancels: vec![Reason::Requested],
        drop: true,
        finalizers: 1,
        finalizer_ends: vec![How::Ok, How::Err],
        ..ScopeSetup::new(children)
    };
    Setup { horizon: 8, ..Setup::new("shut down", vec![scope]) }
}

/// A scope that is drained without a cancellation, its daemons in their turns, when it is shut down.
pub(crate) fn shut_down_late() -> Setup {
    let daemon = |grace: Option<u32>| TaskSetup { grace, ..TaskSetup::daemon(&[How::Ok]) };
    let children = vec![daemon(None), daemon(Some(3)), TaskSetup::linked(&[How::Ok]), daemon(Some(0)).late()];
    let scope = ScopeSetup {
        grace: Some(2),
        shut_downs: if deep() { vec![None, Some(1), Some(0)] } else { vec![None, Some(1)] },
        cancels: if deep() { vec![Reason::Requested] } else { Vec::new() },
        drop: deep(),
        ..ScopeSetup::new(children)
    };
    Setup { horizon: 8, ..Setup::new("shut down late", vec![scope]) }
}

/// Scopes below one that is shut down: they share its grace and the earlier end of it, or have their own.
pub(crate) fn shut_down_nested(own: Option<u32>) -> Setup {
    let ends = [How::Ok, How::Err];
    let daemon = TaskSetup::daemon(&[How::Ok]);
    let outer = ScopeSetup {
        owned: true,
        grace: Some(3),
        shut_downs: vec![Some(2), Some(1), Some(0)],
        cancels: vec![Reason::Requested],
        ..ScopeSetup::new(vec![TaskSetup::linked(&[How::Ok]).stoppable()])
    };
    let middle = ScopeSetup {
        opener: Opener::Task(0, 0),
        grace: own,
        drop: true,
        ..ScopeSetup::new(if deep() {
            vec![TaskSetup::linked(&ends), daemon]
        } else {
            vec![TaskSetup::linked(&ends[..1])]
        })
    };
    let inner = ScopeSetup {
        opener: Opener::Task(1, 0),
        finalizers: 1,
        ..ScopeSetup::new(vec![TaskSetup::linked(&[How::Ok])])
    };
    let name = if own.is_some() { "shut down above a grace" } else { "shut down above" };
    Setup { horizon: 8, ..Setup::new(name, vec![outer, middle, inner]) }
}

/// A runtime without a timer, where whatever grace begins can only be cut.
pub(crate) fn without_a_timer() -> Setup {
    let daemon = TaskSetup::daemon(&[How::Ok, How::Err]);
    let mut children = vec![TaskSetup::linked(&[How::Ok, How::Err]), daemon.clone().with_grace(2), daemon.clone()];
    if deep() {
        children.push(daemon.late());
    }
    let scope = ScopeSetup {
        grace: Some(1),
        cuts: true,
        shut_downs: vec![Some(1)],
        cancels: vec![Reason::Requested],
        drop: true,
        forget: deep(),
        finalizers: 1,
        destructors: deep(),
        ..ScopeSetup::new(children)
    };
    Setup { timer: false, ..Setup::new("without a timer", vec![scope]) }
}

fn timed_out(watch: Watch) -> ScopeSetup {
    let mut children = vec![
        TaskSetup::linked(&[How::Ok, How::TimedOut]).stoppable(),
        TaskSetup::linked(&[How::Err, How::TimedOut]),
        TaskSetup::isolated(&[How::Ok, How::TimedOut]),
    ];
    if deep() && watch == Watch::FailFast {
        children.push(TaskSetup::linked(&[How::Ok, How::AwaitedDead]).late());
    }
    ScopeSetup {
        watch,
        deadline: Some(1),
        cancels: vec![Reason::Requested],
        body: vec![How::Ok, How::Err],
        drop: deep(),
        ..ScopeSetup::new(children)
    }
}

/// Children whose own deadlines expire, which is a failure like any other except for the reason.
pub(crate) fn timeouts() -> Setup {
    Setup::new("timeouts of children", vec![timed_out(Watch::FailFast)])
}

/// The same under a policy that judges them.
pub(crate) fn judged_timeouts() -> Setup {
    Setup::new("judged timeouts", vec![timed_out(Watch::Failures)])
}

/// Children that are started: isolated until they signalled, whatever they are from then on.
pub(crate) fn starting(watch: Watch) -> Setup {
    let ends = [How::Ok, How::Err, How::ErrDtor];
    let mut children = vec![
        TaskSetup::linked(&ends).with_handle().starting(),
        TaskSetup::linked(&[How::Ok, How::Panic]).with_handle().starting().stoppable(),
        TaskSetup::linked(if deep() { &[How::Ok, How::AwaitedDead] } else { &[How::Ok] }),
    ];
    if deep() && watch == Watch::FailFast {
        children.push(TaskSetup::daemon(&[How::Ok, How::Err]).with_handle().starting());
    }
    let scope = ScopeSetup {
        watch,
        claims: vec![ClaimHow::Join, ClaimHow::Await, ClaimHow::Return],
        cancels: vec![Reason::Requested],
        drop: deep(),
        ..ScopeSetup::new(children)
    };
    let name = if watch == Watch::FailFast { "starting" } else { "starting, judged" };
    Setup::new(name, vec![scope])
}

/// A nested scope behind a shield, with a grace or without, and what comes to the outer one meanwhile.
pub(crate) fn shielded(own: Option<u32>) -> Setup {
    let ends = [How::Ok, How::Err];
    let outer = ScopeSetup {
        grace: Some(1),
        deadline: Some(1),
        shut_downs: vec![Some(0)],
        ..ScopeSetup::new(if deep() { vec![TaskSetup::linked(&[How::Ok])] } else { Vec::new() })
    };
    let inner = ScopeSetup {
        opener: Opener::Body(0),
        shield: Some(2),
        grace: own,
        cancels: vec![Reason::External],
        drop: true,
        finalizers: 1,
        ..ScopeSetup::new(vec![TaskSetup::linked(if deep() { &ends } else { &ends[..1] })])
    };
    let name = if own.is_some() { "shielded with a grace" } else { "shielded" };
    Setup { horizon: 8, ..Setup::new(name, vec![outer, inner]) }
}

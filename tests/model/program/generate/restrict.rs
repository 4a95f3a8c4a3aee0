//! What is left out so that the model can be obvious.

use super::*;

/// A scope that is forgotten is polled by nobody, so that nobody looks at its clocks (`docs/DESIGN.md`, "Limits"): it is given
/// none, and neither is anything inside it. It is not limited either: what is leaked with a seat keeps it. And joins are left
/// out, so that what they hold of their results need not be followed.
pub(super) fn forgotten(mut scope: Scope) -> Scope {
    unclock(&mut scope);
    scope
}

fn unclock(scope: &mut Scope) {
    (scope.timeout, scope.grace, scope.limit) = (None, None, None);
    unclock_code(&mut scope.body);
}

fn unclock_code(code: &mut Code) {
    code.steps.retain(|step| !matches!(step.act, Act::Group(_)));
    for step in &mut code.steps {
        match &mut step.act {
            Act::Spawn(task) | Act::Start(task, _) | Act::Reserve(task) | Act::Ambient(task) => {
                (task.timeout, task.grace) = (None, None);
                unclock_code(&mut task.code);
            }
            Act::Nest(scope) | Act::NestDropped(scope, _) | Act::NestTried(scope, _) | Act::NestForgotten(scope, _) => {
                unclock(scope);
            }
            Act::Shield(shield) => unclock_code(&mut shield.code),
            _ => {}
        }
    }
}

/// A child that has lent its seat does not run, whatever wakes it. So that this concerns nothing but what it awaits, a child
/// under a limit has neither clocks nor scopes nor shields of its own; and without a grace of the scope, nobody is told to stop
/// who then goes on.
pub(super) fn limited(mut scope: Scope) -> Scope {
    scope.grace = None;
    limit_spawned(&mut scope.body);
    scope
}

fn limit_spawned(code: &mut Code) {
    for step in &mut code.steps {
        match &mut step.act {
            Act::Spawn(task) | Act::Start(task, _) | Act::Reserve(task) => {
                (task.timeout, task.grace, task.shielded) = (None, None, None);
                limit_code(&mut task.code);
            }
            Act::Shield(shield) => limit_spawned(&mut shield.code),
            _ => {}
        }
    }
}

fn limit_code(code: &mut Code) {
    let has_clock = |act: &Act| {
        matches!(
            act,
            Act::Nest(_)
                | Act::NestDropped(..)
                | Act::NestTried(..)
                | Act::NestForgotten(..)
                | Act::Shield(_)
                | Act::Group(_)
        )
    };
    code.steps.retain(|step| !has_clock(&step.act));
    for step in &mut code.steps {
        if let Act::Start(_, patience) = &mut step.act {
            *patience = None;
        }
    }
    limit_spawned(code);
}

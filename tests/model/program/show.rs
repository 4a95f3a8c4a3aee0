//! Programs as people can read them.

use std::fmt;

use super::*;

/// A length as people can read it: in units.
pub(crate) fn readable(ms: u64) -> String {
    format!("{}.{:05}", ms / UNIT, ms % UNIT)
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nlimits {:?}", self.limits)?;
        write_scope(f, &self.root, 0)
    }
}

fn write_scope(f: &mut fmt::Formatter<'_>, scope: &Scope, depth: usize) -> fmt::Result {
    let pad = "    ".repeat(depth);
    let policy = if scope.supervise { " supervise" } else { "" };
    let limit = scope.limit.map(|limit| format!(" limit={limit}")).unwrap_or_default();
    write!(f, "{pad}scope {}{policy}{limit}", scope.id)?;
    write_spans(f, [("timeout", scope.timeout), ("grace", scope.grace)])?;
    writeln!(f, " finalizer_timeout={}", readable(scope.finalizer_timeout.ms))?;
    write_code(f, &scope.body, depth + 1)
}

fn write_code(f: &mut fmt::Formatter<'_>, code: &Code, depth: usize) -> fmt::Result {
    let pad = "    ".repeat(depth);
    writeln!(f, "{pad}code {}:", code.id)?;
    for Step { sleep, act } in &code.steps {
        write!(f, "{pad}  after {}: ", readable(sleep.ms))?;
        write_act(f, act, depth)?;
    }
    writeln!(f, "{pad}  after {}: {:?}", readable(code.last.ms), code.end)
}

fn write_act(f: &mut fmt::Formatter<'_>, act: &Act, depth: usize) -> fmt::Result {
    match act {
        Act::Spawn(task) => {
            write!(f, "spawn ")?;
            write_task(f, task, depth)?;
        }
        Act::Ambient(task) => write_task(f, task, depth)?,
        Act::Reserve(task) => {
            write!(f, "reserve, and spawn ")?;
            write_task(f, task, depth)?;
        }
        Act::Start(task, patience) => {
            let patience = patience.map(|span| format!(" for at most {}", readable(span.ms)));
            write!(f, "start{} ", patience.unwrap_or_default())?;
            write_task(f, task, depth)?;
        }
        Act::Nest(scope) => {
            writeln!(f, "nest")?;
            write_scope(f, scope, depth + 1)?;
        }
        Act::NestDropped(scope, after) => {
            writeln!(f, "nest, dropped after {}", readable(after.ms))?;
            write_scope(f, scope, depth + 1)?;
        }
        Act::NestTried(scope, after) => {
            writeln!(f, "nest, and its error is mine after {}", readable(after.ms))?;
            write_scope(f, scope, depth + 1)?;
        }
        Act::Group(group) => {
            write!(f, "join {}: {:?}{}", group.id, group.how, if group.parallel { " parallel" } else { "" })?;
            if let Some(width) = group.width {
                write!(f, " limit={width}")?;
            }
            write_spans(f, [("timeout", group.timeout), ("grace", group.grace)])?;
            writeln!(f)?;
            group.members.iter().try_for_each(|task| write_code(f, &task.code, depth + 1))?;
        }
        Act::Shield(shield) => {
            let (limit, after) = (readable(shield.limit.ms), readable(shield.after.ms));
            writeln!(f, "shield for {limit}, and its error is mine after {after}")?;
            write_code(f, &shield.code, depth + 1)?;
        }
        Act::NestForgotten(scope, after) => {
            writeln!(f, "nest, forgotten after {}", readable(after.ms))?;
            write_scope(f, scope, depth + 1)?;
        }
        Act::Resource(resource) => {
            let Resource { acquire: Task { code, .. }, release, leaks } = &**resource;
            let (acquired, released) = (readable(code.last.ms), readable(release.takes.ms));
            write!(f, "resource {}: after {acquired} {:?}, ", code.id, code.end)?;
            let leaks = if *leaks { ", leaks" } else { "" };
            writeln!(f, "released by {}: after {released} {:?}{leaks}", release.id, release.end)?;
        }
        Act::Defer(Finalizer { id, takes, end, .. }) => {
            writeln!(f, "defer {id}: after {} {end:?}", readable(takes.ms))?;
        }
        act => writeln!(f, "{act:?}")?,
    }
    Ok(())
}

fn write_task(f: &mut fmt::Formatter<'_>, task: &Task, depth: usize) -> fmt::Result {
    write!(f, "{:?}{}", task.kind, if task.isolated { " isolated" } else { "" })?;
    write_spans(f, [("timeout", task.timeout), ("grace", task.grace), ("shielded", task.shielded)])?;
    writeln!(f)?;
    write_code(f, &task.code, depth + 1)
}

fn write_spans<const N: usize>(f: &mut fmt::Formatter<'_>, spans: [(&str, Option<Span>); N]) -> fmt::Result {
    for (what, span) in spans {
        if let Some(span) = span {
            write!(f, " {what}={}", readable(span.ms))?;
        }
    }
    Ok(())
}

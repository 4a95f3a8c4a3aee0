//! What is going on, for those who want to look: one row per scope, in the order of the plan.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sc_tokio::{Canceller, OutcomeKind, Scope};
use tokio::time::Instant;

use crate::plan::Plan;

/// Where a scope has its place on the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row(usize);

/// A session's row, and those of its executors.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) session: Row,
    pub(crate) executors: Vec<Row>,
}

/// Written by the scopes when they open and end, read by the screen and the report.
#[derive(Debug)]
pub(crate) struct Board {
    lines: Mutex<Vec<Line>>,
    /// Whether each change is told as a line at once.
    told: bool,
}

/// One scope.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// 0 for the governor, 1 for a session, 2 for an executor.
    pub(crate) depth: usize,
    pub(crate) name: String,
    path: String,
    pub(crate) state: State,
}

#[derive(Debug, Clone)]
pub(crate) enum State {
    Waiting,
    /// As many run as the plan allows.
    Queued,
    /// Open. Whether it is being cancelled its canceller knows; the deadline is the one that holds, its own or inherited.
    Open {
        canceller: Canceller,
        deadline: Option<Instant>,
    },
    Ended {
        kind: OutcomeKind,
        note: String,
    },
    /// Cancelled so hard that it could not say more.
    Dropped,
    NeverStarted,
}

impl Row {
    pub(crate) const GOVERNOR: Self = Self(0);
}

impl Board {
    pub(crate) fn new(plan: &Plan, told: bool) -> Self {
        let line = |depth, name: &str, path| Line { depth, name: name.to_owned(), path, state: State::Waiting };
        let mut lines = vec![line(0, &plan.name, plan.name.clone())];
        for session in &plan.sessions {
            lines.push(line(1, &session.name, session.name.clone()));
            let executors = session.executors.iter().map(|executor| &executor.name);
            lines.extend(executors.map(|name| line(2, name, format!("{}/{name}", session.name))));
        }
        Self { lines: Mutex::new(lines), told }
    }

    /// The rows of the sessions, in the order of the plan.
    pub(crate) fn rows(plan: &Plan) -> Vec<Rows> {
        let mut next = Row::GOVERNOR.0;
        let mut row = || {
            next += 1;
            Row(next)
        };
        let mut rows = |executors: usize| Rows { session: row(), executors: (0..executors).map(|_| row()).collect() };
        plan.sessions.iter().map(|session| rows(session.executors.len())).collect()
    }

    pub(crate) fn line(&self, row: Row) -> Line {
        self.lines()[row.0].clone()
    }

    pub(crate) fn queued(&self, row: Row) {
        self.change(row, State::Queued);
    }

    pub(crate) fn opened<E>(&self, row: Row, scope: &Scope<E>) {
        self.change(row, State::Open { canceller: scope.canceller(), deadline: scope.deadline() });
    }

    pub(crate) fn ended(&self, row: Row, kind: OutcomeKind, note: String) {
        self.change(row, State::Ended { kind, note });
    }

    /// The scope that owned these has ended, so they have too; those that have not said so were dropped, if they ever began.
    pub(crate) fn all_ended(&self, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            match self.line(row).state {
                State::Open { .. } => self.change(row, State::Dropped),
                State::Waiting | State::Queued => self.change(row, State::NeverStarted),
                State::Ended { .. } | State::Dropped | State::NeverStarted => {}
            }
        }
    }

    pub(crate) fn snapshot(&self) -> Vec<Line> {
        self.lines().clone()
    }

    fn change(&self, row: Row, state: State) {
        let told = {
            let line = &mut self.lines()[row.0];
            line.state = state;
            self.told.then(|| line.clone())
        };
        if let Some(line) = told {
            say(format_args!("{}: {}", line.path, line.state));
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting"),
            Self::Queued => f.write_str("waiting for its turn"),
            Self::Open { canceller, .. } if canceller.is_cancelled() => f.write_str("stopping"),
            Self::Open { deadline: None, .. } => f.write_str("running"),
            Self::Open { deadline: Some(at), .. } => {
                write!(f, "running, {} left", seconds(at.saturating_duration_since(Instant::now())))
            }
            Self::Ended { kind, note } if note.is_empty() => f.write_str(word(*kind)),
            Self::Ended { kind, note } => write!(f, "{}: {note}", word(*kind)),
            Self::Dropped => f.write_str("cancelled"),
            Self::NeverStarted => f.write_str("never started"),
        }
    }
}

/// How a scope ended, in a word.
pub(crate) fn word(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Ok => "ok",
        OutcomeKind::Partial => "partial",
        OutcomeKind::Failed => "failed",
        OutcomeKind::Cancelled => "cancelled",
        OutcomeKind::DeadlineExceeded => "deadline exceeded",
        _ => "ended",
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// A line on standard error. `eprintln!` would panic if nobody reads it any more.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

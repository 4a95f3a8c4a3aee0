//! What became of the plan.

use std::fmt::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, Outcome, OutcomeKind};

use crate::World;
use crate::board::word;
use crate::error::Error;
use crate::plan::OnFailure;
use crate::tally::Tally;

/// What is left of a session's outcome when its error has gone up.
#[derive(Debug)]
pub(crate) struct SessionReport {
    kind: OutcomeKind,
    policy: OnFailure,
    /// The one that won, if an error ended the session.
    pub(crate) error: Option<String>,
    others_failed: usize,
    cancelled: Option<Cancelled>,
    drained_in: Option<Duration>,
    tally: Tally,
}

/// How the plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Failed,
    DeadlineExceeded,
    Interrupted,
}

impl SessionReport {
    pub(crate) fn new(outcome: &Outcome<(), Error>, policy: OnFailure, tally: Tally) -> Self {
        let primary = outcome.failures().first().filter(|_| outcome.kind() == OutcomeKind::Failed);
        // What failed only since the session was cancelled is no news.
        let own = |failure: &&Failure<Error>| !failure.as_error().is_some_and(Error::came_from_above);
        let failed = outcome.failures().iter().filter(own).count();
        Self {
            kind: outcome.kind(),
            policy,
            error: primary.map(ToString::to_string),
            others_failed: failed - usize::from(primary.is_some()),
            cancelled: outcome.cancelled().cloned(),
            drained_in: outcome.report().drained_in,
            tally,
        }
    }

    fn is_ok(&self) -> bool {
        matches!(self.kind, OutcomeKind::Ok | OutcomeKind::Partial)
    }
}

impl fmt::Display for SessionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = if self.policy == OnFailure::Hard { "hard" } else { "soft" };
        writeln!(f, "{} ({policy})", word(self.kind))?;
        if let Some(error) = &self.error {
            writeln!(f, "  winning error   {error}")?;
        }
        if self.others_failed > 0 {
            let further = if self.error.is_some() { " more" } else { "" };
            writeln!(f, "  failed          {}{further}", executors(self.others_failed))?;
        }
        if let Some(cancelled) = &self.cancelled {
            let inherited = if cancelled.is_inherited() { ", inherited" } else { "" };
            writeln!(f, "  cancelled       {}{inherited}", cancelled.reason())?;
            writeln!(f, "  origin          {}", cancelled.origin())?;
        }
        if let Some(drained) = self.drained_in {
            writeln!(f, "  last exit       {drained:.1?} after the cancellation")?;
        }
        writeln!(f, "  left running    {} tasks, {} processes", self.tally.tasks, self.tally.processes)
    }
}

impl End {
    pub(crate) fn of(world: &World, plan: &Outcome<(), Error>) -> Self {
        let sessions_ok = world.reports(|reports| reports.iter().flatten().all(SessionReport::is_ok));
        match plan.kind() {
            OutcomeKind::DeadlineExceeded => Self::DeadlineExceeded,
            OutcomeKind::Cancelled => Self::Interrupted,
            OutcomeKind::Ok | OutcomeKind::Partial if sessions_ok => Self::Done,
            _ => Self::Failed,
        }
    }

    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::DeadlineExceeded => 124, // as `timeout` of coreutils
            Self::Interrupted => 130,      // as a shell reports it
        })
    }
}

/// The whole report, as text.
pub(crate) fn report(world: &World, id: &str, plan: &Outcome<(), Error>, end: End) -> String {
    let mut text = String::new();
    for (number, rows) in world.rows.iter().enumerate() {
        let session = world.board.line(rows.session);
        let told = world.reports(|reports| reports[number].as_ref().map(ToString::to_string));
        // Its scope was dropped before it had an outcome, or never opened.
        let told = told.unwrap_or_else(|| format!("{}\n", session.state));
        let _ = write!(text, "session {}: {told}", session.name);
        for row in &rows.executors {
            let executor = world.board.line(*row);
            let _ = writeln!(text, "  - {:<13} {}", executor.name, executor.state);
        }
    }
    let _ = write!(text, "plan {}: ", world.plan.name);
    let _ = match (end, plan.failures().first(), plan.cancelled()) {
        (End::Done, ..) => writeln!(text, "done in {:.1?}", plan.report().duration),
        (End::Failed, Some(failure), _) => writeln!(text, "failed: {failure}"),
        (End::Failed, None, _) => {
            let failed = world.reports(|reports| reports.iter().flatten().filter(|report| !report.is_ok()).count());
            writeln!(text, "{failed} of {} sessions failed", world.rows.len())
        }
        (End::DeadlineExceeded, _, Some(cancelled)) => writeln!(text, "{cancelled}"),
        (End::DeadlineExceeded, ..) => writeln!(text, "deadline exceeded"),
        (End::Interrupted, ..) => writeln!(text, "interrupted"),
    };
    if let Some(drained) = plan.report().drained_in {
        let _ = writeln!(text, "  last exit       {drained:.1?} after the cancellation");
    }
    let _ = writeln!(text, "  id              {id}");
    text
}

fn executors(count: usize) -> String {
    if count == 1 { "1 executor".to_owned() } else { format!("{count} executors") }
}

//! Size, line count and SHA-256 of every file below a directory.
//!
//! One nursery does it all: a blocking child walks the directory, blocking children hash the files,
//! a borrowed child keeps a progress line, a deadline and Ctrl-C end the run. However it ends, no
//! thread is left behind, no file is open, and the line is gone from the terminal before `run`
//! returns.

mod cli;
mod hash;
mod progress;
mod report;
mod walk;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use futures::stream::{self, StreamExt};
use sc_tokio::{Cancelled, Outcome, OutcomeKind, Supervise, nursery};

use cli::{OnFailure, Options};
use progress::Progress;
use report::{End, Report};

/// Why a file could not be digested.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{}: {source}", report::shown(path))]
    Unreadable { path: PathBuf, source: io::Error },
    /// The one variant that a scope asks of its error type.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let progress = Arc::new(Progress::default());
    let mut report = Report::default();
    let outcome = run(&options, &progress, &mut report).await;
    conclude(&options, &progress, report, outcome)
}

/// Digests everything. What is done is in `report`, also when the run ends early: the body writes
/// to what was declared outside of its block.
async fn run(options: &Options, progress: &Arc<Progress>, report: &mut Report) -> Outcome<(), Error> {
    let scope = nursery!(async |n| {
        let line = io::stderr().is_terminal().then(|| n.spawn_borrowed(progress.keep_line()));

        let (root, all) = (options.root.clone(), options.all);
        let found = n.task().name("walk").spawn_blocking(move |cx| walk::walk(&root, all, cx)).await;
        report.skipped = found.skipped;
        progress.found(found.files.len());

        // A child is spawned when a slot is free: never more of them than jobs. (A limit of the scope would bound those that run,
        // too, but keep the rest in its queue, and here the results are wanted as they come.)
        let mut digests = stream::iter(found.files)
            .map(|file| {
                let progress = Arc::clone(progress);
                n.spawn_blocking(move |cx| hash::digest(&file?, &progress, cx)).join()
            })
            .buffer_unordered(options.jobs());
        while let Some(digest) = digests.next().await {
            progress.done();
            match digest {
                Ok(digest) => report.digested(digest),
                Err(failure) => report.failed(failure),
            }
        }
        if let Some(line) = line {
            line.cancel().await;
        }
        Ok(())
    })
    .named("digest")
    .timeout(options.timeout)
    .cancel_on(interrupted());

    let scope = match options.policy {
        OnFailure::FailFast => scope,
        OnFailure::Supervise => scope.policy(Supervise),
    };
    scope.outcome().await
}

/// Resolves at Ctrl-C; never, if the system does not let us listen for it.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Prints the report, says why the run ended early if it did, and chooses the exit code.
fn conclude(options: &Options, progress: &Progress, mut report: Report, outcome: Outcome<(), Error>) -> ExitCode {
    let took = outcome.report().duration;
    let (kind, cancelled) = (outcome.kind(), outcome.cancelled().cloned());
    let primary = outcome.failures().first().map(ToString::to_string).unwrap_or_default();
    // Failures that the policy did not continue past; the others have been joined.
    outcome.into_failures().into_iter().for_each(|failure| report.failed(failure));

    let (ended, message) = match (kind, cancelled) {
        (OutcomeKind::DeadlineExceeded, Some(cancelled)) => {
            (End::DeadlineExceeded, Some(format!("error: {cancelled}; digested {progress}")))
        }
        (OutcomeKind::Cancelled, _) => (End::Interrupted, Some(format!("interrupted; digested {progress}"))),
        (OutcomeKind::Failed, _) => (End::Failed, Some(format!("error: {primary}; digested {progress}"))),
        _ if report.is_complete() => (End::Complete, None),
        _ => (End::Failed, Some(format!("error: {} could not be digested", report.failures()))),
    };
    let printed = report.print(options.json, &ended, took);
    if let Some(message) = message {
        say(format_args!("{message}"));
    }
    match printed {
        // Whoever read the report has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(format_args!("error: cannot write the report: {error}"));
            ExitCode::FAILURE
        }
        _ => ended.exit_code(),
    }
}

impl End {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Complete => 0,
            Self::Failed => 1,
            Self::DeadlineExceeded => 124, // as `timeout` of coreutils
            Self::Interrupted => 130,      // as a shell reports it
        })
    }
}

/// A line on standard error. `eprintln!` would panic if nobody reads it any more.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

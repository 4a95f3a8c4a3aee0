//! What only a process of its own can tell: how much memory it had at most, and how many instructions it took.
//!
//! This program starts itself for it, with the work to do as its arguments.

use std::future::pending;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use sc_bench::subjects::{Subject, Threads};
use sc_bench::work::{self, Output};
use sc_bench::{Row, Unit};

use crate::rounds::Flavour;

/// What the command line has in front of the work.
pub(crate) const COMMAND: &str = "alone";
pub(crate) const PEAK: &str = "peak memory per parked child";

pub(crate) const READY: &str = "ready";
pub(crate) const SUSPENDED: &str = "suspended once";
const PARKED: &str = "parked";

/// The work: `KIND NAME COUNT`.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let [kind, name, count] = arguments else { return wrong() };
    let (Some(subject), Ok(count)) = (Subject::named(name), count.parse()) else { return wrong() };
    let runtime = Flavour::CurrentThread.build();
    match kind.as_str() {
        READY => runtime.block_on(subject.run(count, work::ready)),
        SUSPENDED => runtime.block_on(subject.run(count, work::suspended)),
        PARKED if count == 0 => println!("{}", peak()),
        PARKED => {
            TO_PARK.store(count, Ordering::Relaxed);
            runtime.block_on(subject.run(count, park));
        }
        _ => return wrong(),
    }
    ExitCode::SUCCESS
}

fn wrong() -> ExitCode {
    eprintln!("sc-bench: `{COMMAND}` is for its own use");
    ExitCode::from(2)
}

static TO_PARK: AtomicU32 = AtomicU32::new(0);

/// The last one says how much memory there was, and that is all that the process was for.
async fn park(_number: u64) -> Output {
    if TO_PARK.fetch_sub(1, Ordering::Relaxed) == 1 {
        println!("{}", peak());
        process::exit(0);
    }
    pending().await
}

/// In bytes. Zero where the system does not tell.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1_024
}

/// Those for whom a process of their own makes sense.
fn subjects(count: u32) -> impl Iterator<Item = Subject> {
    Subject::ALL.into_iter().filter(move |subject| subject.unable(count, Threads::One).is_none())
}

/// Peak memory, each in its own process.
pub(crate) fn peaks(full: bool) -> Result<Vec<Row>, String> {
    let count = if full { 1_000_000 } else { 100_000 };
    let mut rows = Vec::new();
    for subject in subjects(count) {
        let bytes = |count: u32| {
            let output = itself(&mut Command::new(own()?), PARKED, subject, count)?;
            output.trim().parse::<f64>().map_err(|_| format!("`{output}` is no number of bytes"))
        };
        let each = (bytes(count)? - bytes(0)?) / f64::from(count);
        rows.push(Row::exact(PEAK, subject.name(), "", each, Unit::Bytes).n(count.into()));
    }
    Ok(rows)
}

pub(crate) fn own() -> Result<PathBuf, String> {
    env::current_exe().map_err(|error| format!("this program's own place is unknown: {error}"))
}

/// Starts this program for some work; gives what it says, or what is said about it.
pub(crate) fn itself(command: &mut Command, kind: &str, subject: Subject, count: u32) -> Result<String, String> {
    let output = command.args([COMMAND, kind, subject.name(), &count.to_string()]).output();
    let output = output.map_err(|error| format!("{command:?} did not start: {error}"))?;
    let said = String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout });
    if output.status.success() { Ok(said.into_owned()) } else { Err(format!("{}: {said}", subject.name())) }
}

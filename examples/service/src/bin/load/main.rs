//! Measures the service against the same service written with plain `tokio::spawn`.
//!
//! Each runs in a process of its own, and so do the upstreams that both of them ask. The rounds are interleaved, so that whatever
//! else the machine does happens to both, and what is reported are medians, and medians of the ratios within a pair of rounds.

mod args;
mod client;
mod measure;
mod plain;
mod process;
mod report;
mod roles;
mod storm;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::process::Program;

type Failure = Box<dyn Error + Send + Sync>;

#[sc_tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.role {
        Some(role) => roles::run(role).await,
        None => measure(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(args: &Args) -> Result<(), Failure> {
    let upstreams = Program::start(&["upstreams"])?;
    let asking = |role: &'static str| Program::start(&[role, upstreams.told()]);
    let contestants = [asking("scoped")?, asking("plain")?];
    let mut out = io::stdout();
    for contest in measure::contests(args, &contestants).await? {
        write!(out, "{contest}")?;
    }
    for storm in storm::storms(args, &contestants).await? {
        write!(out, "{storm}")?;
    }
    Ok(())
}

//! Measures sc-tokio against its peers, in one process and one run.
//!
//! Absolute times say more about the machine than about the code, so each result is a ratio taken
//! within a round. See `rounds` for how, `--help` for the options.

mod args;
mod borrowing;
mod cancelling;
mod memory;
mod opening;
mod rounds;
mod sizes;
mod spawning;

use std::process::ExitCode;
use std::time::Duration;

use sc_bench::{Row, report};

use crate::args::Args;
use crate::rounds::Contest;

/// Time for one contest.
const QUICK: Duration = Duration::from_secs(4);
const FULL: Duration = Duration::from_secs(25);

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(wrong) => return refuse(&wrong),
    };
    if args.help {
        println!("{}", args::HELP);
        return ExitCode::SUCCESS;
    }
    let rows = match measure(&args) {
        Ok(rows) => rows,
        Err(wrong) => {
            eprintln!("sc-bench: {wrong}");
            return ExitCode::FAILURE;
        }
    };
    if rows.is_empty() {
        return refuse(&format!("nothing measured here is called `{}`", args.filter()));
    }
    print!("{}", if args.json { report::json(&rows) } else { report::markdown(&rows) });
    ExitCode::SUCCESS
}

fn refuse(wrong: &str) -> ExitCode {
    eprintln!("sc-bench: {wrong}; see `--help`");
    ExitCode::from(2)
}

fn measure(args: &Args) -> Result<Vec<Row>, String> {
    let budget = if args.full { FULL } else { QUICK };
    let mut rows: Vec<Row> = contests()
        .iter()
        .filter(|contest| args.wants(&contest.name))
        .inspect(|contest| eprintln!("{} ...", contest.name))
        .flat_map(|contest| contest.run(budget))
        .collect();
    rows.extend(sizes::rows().into_iter().filter(|row| args.wants(&row.what)));
    // Its rows say more than their names: what nothing else answers to may be one of them.
    if rows.is_empty() || memory::NAMES.iter().any(|name| args.wants(name)) {
        rows.extend(memory::rows(args.full)?.into_iter().filter(|row| args.wants(&row.what)));
    }
    Ok(rows)
}

fn contests() -> Vec<Contest> {
    let mut contests = spawning::contests();
    contests.extend(opening::contests());
    contests.extend(borrowing::contests());
    contests.extend(cancelling::contests());
    contests
}

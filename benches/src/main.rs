//! Measures sc-tokio against its peers, in one process and one run.
//!
//! Absolute times say more about the machine than about the code, so each result is a ratio taken
//! within a round. See `rounds` for how, `--help` for the options.

mod alone;
mod args;
mod measures;
mod memory;
mod rounds;
mod sizes;

use std::fs;
use std::process::ExitCode;

use sc_bench::{Machine, Results, Row, table};

use crate::args::Args;
use crate::rounds::Plan;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let Some((alone::COMMAND, work)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return alone::run(work);
    }
    let args = match Args::parse(arguments) {
        Ok(args) => args,
        Err(wrong) => return refuse(&wrong),
    };
    if args.help {
        println!("{}", args::HELP);
        return ExitCode::SUCCESS;
    }
    match measure(&args) {
        Ok(results) if results.rows.is_empty() => {
            refuse(&format!("nothing measured here is called `{}`", args.filter()))
        }
        Ok(results) => deliver(&args, &results),
        Err(wrong) => fail(&wrong),
    }
}

fn refuse(wrong: &str) -> ExitCode {
    eprintln!("sc-bench: {wrong}; see `--help`");
    ExitCode::from(2)
}

fn fail(wrong: &str) -> ExitCode {
    eprintln!("sc-bench: {wrong}");
    ExitCode::FAILURE
}

fn deliver(args: &Args, results: &Results) -> ExitCode {
    print!("{}", if args.markdown { table::markdown(results) } else { table::terminal(results) });
    if let Some(file) = &args.json {
        if let Err(error) = fs::write(file, results.to_json()) {
            return fail(&format!("{}: {error}", file.display()));
        }
    }
    ExitCode::SUCCESS
}

fn measure(args: &Args) -> Result<Results, String> {
    let plan = if args.full { Plan::FULL } else { Plan::QUICK };
    let mode = if args.full { "full" } else { "quick" };
    let mut results = Results { mode: mode.to_owned(), machine: Machine::here(), rows: Vec::new(), notes: Vec::new() };
    let wanted: Vec<_> =
        measures::contests(plan).into_iter().filter(|contest| args.wants(&contest.heading())).collect();
    let count = wanted.len();
    for (number, contest) in wanted.into_iter().enumerate() {
        eprintln!("{}/{count}: {} ...", number + 1, contest.heading());
        let (rows, notes) = contest.against(args.against.as_deref()).run(plan);
        results.rows.extend(rows);
        results.notes.extend(notes);
    }
    let wanted = |row: &Row| args.wants(&row.heading());
    results.rows.extend(sizes::rows().into_iter().filter(wanted));
    if args.wants(alone::PEAK) {
        eprintln!("{} ...", alone::PEAK);
        results.rows.extend(alone::peaks(args.full)?);
    }
    if (args.full || args.callgrind) && args.wants(alone::INSTRUCTIONS) {
        eprintln!("{} ...", alone::INSTRUCTIONS);
        let (rows, notes) = alone::instructions()?;
        results.rows.extend(rows);
        results.notes.extend(notes);
    }
    // Its rows say more than their names: what nothing else answers to may be one of them.
    if results.rows.is_empty() || memory::MEASURES.iter().any(|name| args.wants(name)) {
        results.rows.extend(memory::rows(args.full)?.into_iter().filter(wanted));
    }
    Ok(results)
}

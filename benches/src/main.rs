//! Measures sc-tokio against its peers, in one process and one run.
//!
//! Absolute times say more about the machine than about the code, so each result is a ratio taken
//! within a round. See `rounds` for how, `--help` for the options.

mod alone;
mod args;
mod callgrind;
mod measures;
mod memory;
mod rounds;
mod sizes;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use sc_bench::{Machine, Results, Row, page, plot, table};

use crate::args::{Args, Task};
use crate::rounds::Plan;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let Some((alone::COMMAND, work)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return alone::run(work);
    }
    let done = match Task::parse(arguments) {
        Err(wrong) => return refuse(&wrong),
        Ok(Task::Plot { results, out }) => plot(&results, &out),
        Ok(Task::Tables { results, document }) => tables(&results, &document),
        Ok(Task::Measure(args)) if args.help => {
            println!("{}", args::HELP);
            Ok(())
        }
        Ok(Task::Measure(args)) => match measure(&args) {
            Ok(results) if results.rows.is_empty() => {
                return refuse(&format!("nothing measured here is called `{}`", args.filter()));
            }
            measured => measured.and_then(|results| deliver(&args, &results)),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("sc-bench: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn refuse(wrong: &str) -> ExitCode {
    eprintln!("sc-bench: {wrong}; see `--help`");
    ExitCode::from(2)
}

fn plot(results: &Path, out: &Path) -> Result<(), String> {
    let results = Results::from_json(&read(results)?)?;
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    for picture in plot::pictures(&results) {
        let file = out.join(&picture.name);
        write(&file, &picture.svg)?;
        println!("{}: {}", file.display(), picture.title);
    }
    Ok(())
}

fn tables(results: &Path, document: &Path) -> Result<(), String> {
    let results = Results::from_json(&read(results)?)?;
    write(document, &page::refreshed(&read(document)?, &results)?)
}

fn deliver(args: &Args, results: &Results) -> Result<(), String> {
    print!("{}", if args.markdown { table::markdown(results) } else { table::terminal(results) });
    keep(args, results)
}

fn keep(args: &Args, results: &Results) -> Result<(), String> {
    args.json.as_deref().map_or(Ok(()), |file| write(file, &results.to_json()))
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
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
        // A long run that is cut short has not been for nothing.
        keep(args, &results)?;
    }
    let wanted = |row: &Row| args.wants(&row.heading());
    results.rows.extend(sizes::rows().into_iter().filter(wanted));
    if args.wants(alone::PEAK) {
        eprintln!("{} ...", alone::PEAK);
        results.rows.extend(alone::peaks(args.full)?);
    }
    if (args.full || args.callgrind) && args.wants(callgrind::PER_CHILD) {
        eprintln!("{} ...", callgrind::PER_CHILD);
        let (rows, notes) = callgrind::rows()?;
        results.rows.extend(rows);
        results.notes.extend(notes);
    }
    // Its rows say more than their names: what nothing else answers to may be one of them.
    if results.rows.is_empty() || memory::MEASURES.iter().any(|name| args.wants(name)) {
        results.rows.extend(memory::rows(args.full)?.into_iter().filter(wanted));
    }
    Ok(results)
}

//! Tables inside of documents: what stands between two markers is written anew from the results.
//!
//! ```text
//! <!-- bench: spawn and join -->
//! (the tables of that measure)
//! <!-- bench: end -->
//! ```
//!
//! Besides the measures there are `machine`, `summary` (the few figures that say most) and `notes`.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::report::{Results, Row, Unit};
use crate::spread::Spread;
use crate::table::digits;

const BEGIN: &str = "<!-- bench: ";
const CLOSE: &str = " -->";
const END: &str = "<!-- bench: end -->";

/// The document with everything between its markers written anew.
///
/// # Errors
///
/// If a marker has no end, or names what the results do not have.
pub fn refreshed(document: &str, results: &Results) -> Result<String, String> {
    let mut fresh = String::new();
    let mut rest = document;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(CLOSE).ok_or("a marker is not closed")?;
        let (_, after) = after.split_once(END).ok_or_else(|| format!("`{name}` has no end"))?;
        let block = block(name, results).ok_or_else(|| format!("the results have no `{name}`"))?;
        let _ = write!(fresh, "{before}{BEGIN}{name}{CLOSE}\n{block}{END}");
        rest = after;
    }
    Ok(fresh + rest)
}

fn block(name: &str, results: &Results) -> Option<String> {
    match name {
        "machine" => Some(machine(results)),
        "notes" => Some(notes(results)),
        "summary" => Some(summary(results)),
        measure => {
            let rows: Vec<_> = results.rows.iter().filter(|row| row.measure == measure).collect();
            let mut runtimes: Vec<_> = rows.iter().map(|row| row.runtime.as_str()).collect();
            runtimes.dedup();
            let of =
                |runtime: &str| -> Vec<&Row> { rows.iter().copied().filter(|row| row.runtime == runtime).collect() };
            let tables: Vec<_> = runtimes.into_iter().map(|runtime| matrix(runtime, &of(runtime))).collect();
            (!tables.is_empty()).then(|| tables.join("\n"))
        }
    }
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let versions: Vec<_> = machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let shared = if machine.virtual_machine { " of a virtual machine" } else { "" };
    format!(
        "A {} run on {} cores{shared} ({}; {}), {}. Load averages when it began: {}. Versions: {}.\n",
        results.mode,
        machine.cores,
        machine.processor,
        machine.system,
        machine.rustc,
        machine.load,
        versions.join(", "),
    )
}

/// Notes that say the same of different measurements are one.
fn notes(results: &Results) -> String {
    let mut said = BTreeSet::new();
    let mut text = String::new();
    for note in &results.notes {
        let reason = note.text.split_once(": ").map_or(note.text.as_str(), |(_, reason)| reason);
        if said.insert((&note.about, reason)) {
            let _ = writeln!(text, "- {}: {} (left out first at {})", note.about, reason, first_place(&note.text));
        }
    }
    if text.is_empty() { "None.\n".to_owned() } else { text }
}

fn first_place(text: &str) -> &str {
    text.split_once(": ").map_or("once", |(place, _)| place)
}

/// A line for each pair, a column for each number of children. What is above its target is bold.
fn matrix(runtime: &str, rows: &[&Row]) -> String {
    let numbers: BTreeSet<Option<u64>> = rows.iter().map(|row| row.n).collect();
    let mut lines: Vec<(String, Option<f64>)> = Vec::new();
    for row in rows {
        // With ten children there may be another target: the one for many is in the column.
        let line = (label(row), row.target);
        match lines.iter_mut().find(|(label, _)| *label == line.0) {
            Some((_, target)) => *target = line.1.or(*target),
            None => lines.push(line),
        }
    }
    let targets = lines.iter().any(|(_, target)| target.is_some());
    let mut text = format!("| {} |", runtime.replace('_', " "));
    let mut rule = String::from("\n|---|");
    for number in &numbers {
        let _ = write!(text, " {} |", number.map_or_else(String::new, |n| format!("n = {}", power(n))));
        rule.push_str("---:|");
    }
    if targets {
        text.push_str(" target |");
        rule.push_str("---:|");
    }
    text.push_str(&rule);
    text.push('\n');
    for (name, target) in &lines {
        let _ = write!(text, "| {name} |");
        for number in &numbers {
            let row = rows.iter().find(|row| row.n == *number && label(row) == *name);
            let _ = write!(text, " {} |", row.map_or_else(String::new, |row| cell(row)));
        }
        if targets {
            let _ = write!(text, " {} |", target.map_or_else(String::new, |target| target.to_string()));
        }
        text.push('\n');
    }
    text
}

fn label(row: &Row) -> String {
    let pair = if row.against.is_empty() { row.ours.clone() } else { format!("{} / {}", row.ours, row.against) };
    if row.kind.is_empty() { pair } else { format!("{}: {pair}", row.kind) }
}

fn cell(row: &Row) -> String {
    let Spread { low, median, high } = row.measured;
    let digits = digits(row.unit);
    let median = match row.verdict() {
        "near" | "missed" => format!("**{median:.digits$}**"),
        _ => format!("{median:.digits$}"),
    };
    if row.rounds > 1 { format!("{median} ({low:.digits$}-{high:.digits$})") } else { median }
}

fn power(n: u64) -> String {
    if n >= 10_000 && n.to_string().trim_end_matches('0') == "1" { format!("10^{}", n.ilog10()) } else { n.to_string() }
}

/// What to look at first: measure, kind, how many children at most, ours, against, and what to call it.
const FIRST: [(&str, &str, u64, &str, &str, &str); 11] = [
    (
        "spawn and join",
        "ready",
        1_000,
        "handles awaited",
        "tokio::spawn, handles awaited",
        "spawn and join a ready child",
    ),
    ("spawn and join", "ready", 1_000, "handles dropped", "tokio::spawn, handles awaited", "the same, handles dropped"),
    ("spawn and join", "ready", 1_000, "handles awaited", "JoinSet, join_next", "spawn and join a ready child"),
    (
        "spawn and join",
        "suspended once",
        1_000,
        "handles awaited",
        "tokio::spawn, handles awaited",
        "one that is suspended once",
    ),
    ("spawn and join", "suspended once", 1_000, "handles awaited", "JoinSet, join_next", "one that is suspended once"),
    (
        "spawn and join",
        "suspended once",
        1_000,
        "handles awaited",
        "TaskTracker, CancellationToken",
        "one that is suspended once",
    ),
    ("ambient spawn", "ready", 1_000, "sc_tokio::spawn in a nursery", "tokio::spawn", "`sc_tokio::spawn`"),
    ("cancel and join", "parked", 100_000, "Scope::cancel", "JoinSet::shutdown", "cancel and join a parked child"),
    ("empty nursery", "", 0, "outermost", "one tokio::spawn, awaited", "an empty nursery"),
    (
        "borrow",
        "woken three times",
        1_000,
        "handles awaited",
        "FuturesUnordered, boxed, with handles",
        "a borrowed child with its handle",
    ),
    (
        "accept loop",
        "100 alive",
        u64::MAX,
        "oldest handle awaited",
        "tokio::spawn, oldest handle awaited",
        "an accept loop",
    ),
];

fn summary(results: &Results) -> String {
    let mut text =
        String::from("| what, on one thread | children | against | ratio (25-75 %) |\n|---|---:|---|---:|\n");
    for (measure, kind, most, ours, against, name) in FIRST {
        let fits = |row: &&Row| {
            (row.measure.as_str(), row.kind.as_str(), row.runtime.as_str()) == (measure, kind, "current_thread")
                && (row.ours.as_str(), row.against.as_str(), row.unit) == (ours, against, Unit::Ratio)
                && row.n.unwrap_or(0) <= most
        };
        let Some(row) = results.rows.iter().filter(fits).max_by_key(|row| row.n) else { continue };
        let number = row.n.map_or_else(String::new, power);
        let Spread { low, median, high } = row.measured;
        let _ = writeln!(text, "| {name} | {number} | {against} | {median:.2} ({low:.2}-{high:.2}) |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::refreshed;
    use crate::report::{Note, Results, Row, Unit};
    use crate::{Machine, Spread};

    fn results() -> Results {
        let row = |n, median, target| {
            let mut row = Row::exact("spawn", "mine", "bare", median, Unit::Ratio).kind("ready").n(n).target(target);
            row.measured = Spread { low: median - 0.1, median, high: median + 0.1 };
            row.rounds = 9;
            "current_thread".clone_into(&mut row.runtime);
            row
        };
        let note = |place: &str| Note { about: "a peer".to_owned(), text: format!("{place}: it panics") };
        Results {
            mode: "quick".to_owned(),
            machine: Machine::default(),
            rows: vec![row(10, 1.5, 1.4), row(1_000, 1.1, 1.2), row(1_000_000, 1.25, 1.2)],
            notes: vec![note("spawn 10"), note("spawn 1000")],
        }
    }

    #[test]
    fn only_what_is_between_the_markers_is_written_anew() {
        let document = "before\n<!-- bench: spawn -->\nold\n<!-- bench: end -->\nafter\n";
        let fresh = refreshed(document, &results()).unwrap();
        let expected = "before\n<!-- bench: spawn -->\n\
            | current thread | n = 10 | n = 1000 | n = 10^6 | target |\n|---|---:|---:|---:|---:|\n\
            | ready: mine / bare | **1.50** (1.40-1.60) | 1.10 (1.00-1.20) | **1.25** (1.15-1.35) | 1.2 |\n\
            <!-- bench: end -->\nafter\n";
        assert_eq!(fresh, expected);
        assert_eq!(refreshed(&fresh, &results()).unwrap(), fresh);
    }

    #[test]
    fn notes_that_say_the_same_are_one() {
        let fresh = refreshed("<!-- bench: notes --><!-- bench: end -->", &results()).unwrap();
        assert_eq!(fresh.matches("a peer: it panics (left out first at spawn 10)").count(), 1);
    }

    #[test]
    fn what_was_not_measured_and_what_has_no_end_are_errors() {
        assert!(refreshed("<!-- bench: flight --><!-- bench: end -->", &results()).unwrap_err().contains("flight"));
        assert!(refreshed("<!-- bench: spawn -->", &results()).is_err());
    }
}

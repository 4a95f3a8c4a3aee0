//! Results as tables: aligned for a terminal, and as Markdown.

use std::fmt::Write;

use crate::report::{Note, Results, Row, Unit};
use crate::spread::Spread;

/// Rows under the headings they share, in columns.
pub fn terminal(results: &Results) -> String {
    let lines: Vec<[String; 6]> = results.rows.iter().map(|row| Cells::of(row).joined()).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    let mut above = String::new();
    for (row, line) in results.rows.iter().zip(&lines) {
        let heading = row.heading();
        if heading != above {
            let _ = writeln!(text, "{}{heading}", if above.is_empty() { "" } else { "\n" });
            above = heading;
        }
        let columns: Vec<_> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "  {}", columns.join("  ").trim_end());
    }
    for Note { about, text: said } in &results.notes {
        let _ = writeln!(text, "\nnote: {about}: {said}");
    }
    text
}

/// Every row as one of a Markdown table.
pub fn markdown(results: &Results) -> String {
    let mut text = String::from(
        "| what | ours | against | median | 25-75 % | unit | target | | ns, ours / peer | rounds |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &results.rows {
        let Cells { ours, against, median, spread, unit, target, verdict, nanos, rounds } = Cells::of(row);
        let heading = row.heading();
        let _ = writeln!(
            text,
            "| {heading} | {ours} | {against} | {median} | {spread} | {unit} | {target} | {verdict} | {nanos} | {rounds} |"
        );
    }
    for Note { about, text: said } in &results.notes {
        let _ = writeln!(text, "\n{about}: {said}");
    }
    text
}

/// What a row shows; what there is not is empty.
struct Cells<'a> {
    ours: &'a str,
    against: &'a str,
    median: String,
    spread: String,
    unit: &'static str,
    target: String,
    verdict: &'static str,
    nanos: String,
    rounds: String,
}

impl<'a> Cells<'a> {
    fn of(row: &'a Row) -> Self {
        let Spread { low, median, high } = row.measured;
        let digits = digits(row.unit);
        let varies = row.rounds > 1;
        Self {
            ours: &row.ours,
            against: &row.against,
            median: format!("{median:.digits$}"),
            spread: if varies { format!("{low:.digits$}-{high:.digits$}") } else { String::new() },
            unit: row.unit.name(),
            target: row.target.map_or_else(String::new, |target| target.to_string()),
            verdict: row.verdict(),
            nanos: match (row.nanos, row.peer_nanos) {
                (Some(ours), Some(peer)) => format!("{} / {}", short(ours.median), short(peer.median)),
                _ => String::new(),
            },
            rounds: if varies { row.rounds.to_string() } else { String::new() },
        }
    }

    /// In fewer columns, with the words that a heading would have.
    fn joined(self) -> [String; 6] {
        let worded = |text: &str, before: &str, after: &str| {
            if text.is_empty() { String::new() } else { format!("{before}{text}{after}") }
        };
        let unit = if self.unit == Unit::Ratio.name() { "" } else { self.unit };
        [
            self.ours.to_owned(),
            worded(self.against, "against ", ""),
            format!("{}{}{}", self.median, worded(&self.spread, " (", ")"), worded(unit, " ", "")),
            worded(&self.target, "target ", &format!(": {}", self.verdict)),
            worded(&self.nanos, "", " ns"),
            worded(&self.rounds, "", " rounds"),
        ]
    }
}

/// How many decimals a number of this unit has in a table.
pub(crate) const fn digits(unit: Unit) -> usize {
    match unit {
        Unit::Ratio => 2,
        Unit::Allocations => 3,
        Unit::Bytes | Unit::Instructions => 0,
    }
}

/// A number with three digits that count.
pub(crate) fn short(number: f64) -> String {
    let digits = match number {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{number:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::{markdown, terminal};
    use crate::report::{Note, Results, Row, Unit};
    use crate::{Machine, Spread};

    fn results() -> Results {
        let mut ratio = Row::exact("spawn", "awaited", "tokio::spawn", 1.25, Unit::Ratio).target(1.3).n(10);
        ratio.measured = Spread { low: 1.2, median: 1.25, high: 1.333 };
        ratio.rounds = 9;
        ratio.nanos = Some(Spread::exact(250.0));
        ratio.peer_nanos = Some(Spread::exact(3.777));
        let mut other = ratio.clone();
        other.against = "JoinSet".to_owned();
        other.target = None;
        let note = Note { about: "moro".to_owned(), text: "one task".to_owned() };
        let bytes = Row::exact("parked", "child", "its task", 96.0, Unit::Bytes);
        Results {
            mode: "quick".to_owned(),
            machine: Machine::default(),
            rows: vec![ratio, other, bytes],
            notes: vec![note],
        }
    }

    #[test]
    fn for_a_terminal_rows_with_one_heading_stand_under_it_in_columns() {
        let expected = "\
spawn 10
  awaited  against tokio::spawn  1.25 (1.20-1.33)  target 1.3: met  250 / 3.78 ns  9 rounds
  awaited  against JoinSet       1.25 (1.20-1.33)                   250 / 3.78 ns  9 rounds

parked
  child    against its task      96 bytes

note: moro: one task
";
        assert_eq!(terminal(&results()), expected);
    }

    #[test]
    fn in_markdown_every_row_has_all_columns() {
        let text = markdown(&results());
        let table: Vec<_> = text.lines().take_while(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), 5);
        assert!(table.iter().all(|line| line.matches('|').count() == 11), "{text}");
        assert!(text.ends_with("\nmoro: one task\n"));
    }
}

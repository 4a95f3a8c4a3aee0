//! Results: rows, written as Markdown for readers, as JSON for programs, and as lines from one of
//! our programs to the other.

use std::fmt::Write;

use crate::spread::Spread;

/// What a row's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Time of ours by time of the peer, per round.
    Ratio,
    /// Bytes.
    Bytes,
    /// Allocations.
    Allocations,
}

impl Unit {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Ratio, "ratio"), (Self::Bytes, "bytes"), (Self::Allocations, "allocations")];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(unit, _)| *unit == self).map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, candidate)| *candidate == name).map(|(unit, _)| *unit)
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What of ours was measured.
    pub what: String,
    /// What it was measured against.
    pub against: String,
    /// The runtime's flavour; empty where it does not matter.
    pub runtime: String,
    /// What the design asks for: at most this much.
    pub target: Option<f64>,
    /// What came out.
    pub measured: Spread,
    /// What that counts.
    pub unit: Unit,
    /// How many rounds it is the median of.
    pub rounds: usize,
    /// What the peer took for one operation, in nanoseconds; for orientation only.
    pub peer_nanos: Option<f64>,
}

impl Row {
    /// A row of a number that does not vary.
    pub fn exact(what: impl Into<String>, against: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self {
            what: what.into(),
            against: against.into(),
            runtime: String::new(),
            target: None,
            measured: Spread::exact(value),
            unit,
            rounds: 1,
            peer_nanos: None,
        }
    }

    /// With a target.
    #[must_use]
    pub const fn target(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    fn verdict(&self) -> &'static str {
        match self.target {
            None => "",
            Some(target) if self.measured.median <= target => "met",
            // The middle half reaches the target: another run may decide otherwise.
            Some(target) if self.measured.low <= target => "near",
            Some(_) => "missed",
        }
    }

    /// The row as a line that [`from_line`](Self::from_line) understands.
    pub fn to_line(&self) -> String {
        let Spread { low, median, high } = self.measured;
        let (what, against, runtime, unit) = (&self.what, &self.against, &self.runtime, self.unit.name());
        let target = self.target.map_or_else(String::new, |target| target.to_string());
        format!("{what}\t{against}\t{runtime}\t{target}\t{low}\t{median}\t{high}\t{unit}\t{}", self.rounds)
    }

    /// Reads a row. `None` if it is not one.
    pub fn from_line(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [what, against, runtime, target, low, median, high, unit, rounds] = fields[..] else { return None };
        let target = if target.is_empty() { None } else { Some(target.parse().ok()?) };
        let measured = Spread { low: low.parse().ok()?, median: median.parse().ok()?, high: high.parse().ok()? };
        Some(Self {
            what: what.to_owned(),
            against: against.to_owned(),
            runtime: runtime.to_owned(),
            target,
            measured,
            unit: Unit::named(unit)?,
            rounds: rounds.parse().ok()?,
            peer_nanos: None,
        })
    }
}

/// The rows as a Markdown table.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | against | runtime | target | median | 25-75 % | unit | rounds | | peer, ns |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Row { what, against, runtime, measured, rounds, .. } = row;
        let Spread { low, median, high } = measured;
        let target = row.target.map_or_else(String::new, |target| target.to_string());
        let spread = if row.rounds > 1 { format!("{low:.2}-{high:.2}") } else { String::new() };
        let digits = if row.unit == Unit::Allocations { 3 } else { 2 };
        let (unit, verdict) = (row.unit.name(), row.verdict());
        let peer = row.peer_nanos.map_or_else(String::new, |nanos| format!("{nanos:.0}"));
        let _ = writeln!(
            text,
            "| {what} | {against} | {runtime} | {target} | {median:.digits$} | {spread} | {unit} | {rounds} | {verdict} | {peer} |"
        );
    }
    text
}

/// The rows as a JSON array.
pub fn json(rows: &[Row]) -> String {
    let rows: Vec<String> = rows.iter().map(json_row).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}

fn json_row(row: &Row) -> String {
    let Spread { low, median, high } = row.measured;
    let number = |value: Option<f64>| value.map_or_else(|| String::from("null"), |value| value.to_string());
    format!(
        "  {{\"what\": {}, \"against\": {}, \"runtime\": {}, \"target\": {}, \"median\": {median}, \"low\": {low}, \
         \"high\": {high}, \"unit\": {}, \"rounds\": {}, \"peer_nanos\": {}}}",
        quoted(&row.what),
        quoted(&row.against),
        quoted(&row.runtime),
        number(row.target),
        quoted(row.unit.name()),
        row.rounds,
        number(row.peer_nanos),
    )
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{Row, Spread, Unit, json, quoted};

    #[test]
    fn a_row_survives_its_line() {
        let mut row = Row::exact("parked child", "its task", 96.5, Unit::Bytes).target(96.0);
        row.measured = Spread { low: 90.0, median: 96.5, high: 97.25 };
        assert_eq!(Row::from_line(&row.to_line()), Some(row));
        assert_eq!(Row::from_line("warning: something else"), None);
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(quoted("a \"b\" \\ \n"), r#""a \"b\" \\ \u000a""#);
    }

    #[test]
    fn no_rows_are_an_empty_array() {
        assert_eq!(json(&[]), "[\n\n]\n");
    }
}

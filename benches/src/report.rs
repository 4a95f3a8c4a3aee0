//! Results, as they are kept in a file: rows, and on what they were measured.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::spread::Spread;

/// What a row's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Time of ours by time of the peer, per round.
    Ratio,
    /// Bytes.
    Bytes,
    /// Allocations.
    Allocations,
    /// Instructions.
    Instructions,
}

impl Unit {
    /// Its name, for tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Bytes => "bytes",
            Self::Allocations => "allocations",
            Self::Instructions => "instructions",
        }
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured: "spawn and join".
    pub measure: String,
    /// Which kind of it: "ready". Empty if there is one only.
    pub kind: String,
    /// How many children.
    pub n: Option<u64>,
    /// The runtime's flavour; empty where it does not matter.
    pub runtime: String,
    /// What of ours was measured.
    pub ours: String,
    /// What it was measured against.
    pub against: String,
    /// What the design asks for: at most this much.
    pub target: Option<f64>,
    /// What came out.
    pub measured: Spread,
    /// What that counts.
    pub unit: Unit,
    /// How many rounds it is the median of.
    pub rounds: usize,
    /// What ours took for one operation, in nanoseconds: compares within this run only.
    pub nanos: Option<Spread>,
    /// What the peer took for one operation.
    pub peer_nanos: Option<Spread>,
}

impl Row {
    /// A row of a number that does not vary.
    pub fn exact(measure: &str, ours: impl Into<String>, against: &str, value: f64, unit: Unit) -> Self {
        Self {
            measure: measure.to_owned(),
            kind: String::new(),
            n: None,
            runtime: String::new(),
            ours: ours.into(),
            against: against.to_owned(),
            target: None,
            measured: Spread::exact(value),
            unit,
            rounds: 1,
            nanos: None,
            peer_nanos: None,
        }
    }

    /// With a target.
    #[must_use]
    pub const fn target(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    /// Of a kind.
    #[must_use]
    pub fn kind(mut self, kind: &str) -> Self {
        kind.clone_into(&mut self.kind);
        self
    }

    /// With so many children.
    #[must_use]
    pub const fn n(mut self, n: u64) -> Self {
        self.n = Some(n);
        self
    }

    /// What a filter is compared with, and what stands above the rows that share it.
    pub fn heading(&self) -> String {
        heading(&self.measure, &self.kind, self.n, &self.runtime)
    }

    /// What became of the target. Empty without one.
    pub fn verdict(&self) -> &'static str {
        match self.target {
            None => "",
            Some(target) if self.measured.median <= target => "met",
            // The middle half reaches the target: another run may decide otherwise.
            Some(target) if self.measured.low <= target => "near",
            Some(_) => "missed",
        }
    }
}

/// `spawn and join 1000, ready, current_thread`, without what is not there.
pub fn heading(measure: &str, kind: &str, n: Option<u64>, runtime: &str) -> String {
    let mut heading = measure.to_owned();
    if let Some(n) = n {
        heading = format!("{heading} {n}");
    }
    for part in [kind, runtime] {
        if !part.is_empty() {
            heading = format!("{heading}, {part}");
        }
    }
    heading
}

/// What a reader has to know about one of those who are compared: why it is missing, or what it does differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where.
    pub about: String,
    /// What.
    pub text: String,
}

/// What one run has measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Whether it had time for many rounds: "quick" or "full".
    pub mode: String,
    /// What it ran on.
    pub machine: Machine,
    /// What came out.
    pub rows: Vec<Row>,
    /// What else there is to say.
    pub notes: Vec<Note>,
}

impl Results {
    /// As text for a file.
    ///
    /// # Panics
    ///
    /// Never: nothing in it has no JSON.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("numbers, text and lists");
        text.push('\n');
        text
    }

    /// From such a text.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("no results of this program: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Machine, Note, Results, Row, Spread, Unit};

    fn row() -> Row {
        let mut row = Row::exact("parked", "child", "its \"task\"", 96.5, Unit::Bytes).target(96.0).kind("big").n(7);
        row.measured = Spread { low: 90.0, median: 96.5, high: 97.25 };
        row.peer_nanos = Some(Spread::exact(12.5));
        row
    }

    #[test]
    fn results_survive_their_file() {
        let note = Note { about: "a peer".to_owned(), text: "does not build\n".to_owned() };
        let results =
            Results { mode: "quick".to_owned(), machine: Machine::here(), rows: vec![row()], notes: vec![note] };
        assert_eq!(Results::from_json(&results.to_json()), Ok(results));
        assert!(Results::from_json("{}").is_err());
    }

    #[test]
    fn a_verdict_is_near_if_the_middle_half_reaches_the_target() {
        assert_eq!(row().verdict(), "near");
        assert_eq!(row().target(97.0).verdict(), "met");
        assert_eq!(row().target(89.0).verdict(), "missed");
        assert_eq!(Row::exact("x", "y", "z", 1.0, Unit::Ratio).verdict(), "");
    }

    #[test]
    fn a_heading_has_only_the_parts_that_are_there() {
        assert_eq!(row().heading(), "parked 7, big");
        assert_eq!(Row::exact("empty nursery", "y", "z", 1.0, Unit::Ratio).heading(), "empty nursery");
    }
}

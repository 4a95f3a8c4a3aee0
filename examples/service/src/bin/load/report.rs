//! Medians, and how they are shown.

use std::fmt;

use crate::measure::Round;

/// One route: the rounds of both services, pair by pair.
#[derive(Debug)]
pub(crate) struct Contest {
    pub(crate) route: &'static str,
    pub(crate) names: [String; 2],
    pub(crate) pairs: Vec<[Round; 2]>,
}

impl Contest {
    fn median(&self, contestant: usize, value: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        median(self.pairs.iter().filter_map(|pair| value(&pair[contestant])).collect())
    }

    /// The median of the first one's value divided by the second one's, taken within each pair.
    fn ratio(&self, value: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        median(self.pairs.iter().filter_map(|[one, other]| Some(value(one)? / value(other)?)).collect())
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, name: &str, value: fn(&Round) -> Option<f64>) -> fmt::Result {
        let shown = |value: Option<f64>, digits| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
        let (one, other) = (shown(self.median(0, value), 0), shown(self.median(1, value), 0));
        writeln!(f, "  {name:<16}{one:>10}{other:>10}{:>10}", shown(self.ratio(value), 3))
    }
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "GET {}", self.route)?;
        writeln!(f, "  {:<16}{:>10}{:>10}{:>10}", "", self.names[0], self.names[1], "ratio")?;
        self.line(f, "requests/s", |round| Some(round.per_second))?;
        self.line(f, "p50, us", |round| Some(round.p50))?;
        self.line(f, "p99, us", |round| Some(round.p99))?;
        self.line(f, "CPU us/request", |round| round.processor)
    }
}

/// The middle of some values.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The value below which so many of a hundred are.
pub(crate) fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let index = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(index).copied().map_or(f64::NAN, f64::from)
}

/// A number of things, to calculate with.
pub(crate) fn count(things: usize) -> f64 {
    f64::from(u32::try_from(things).unwrap_or(u32::MAX))
}

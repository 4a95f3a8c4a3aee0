//! Pictures of cost per child over their number, as SVG.
//!
//! Written by hand: axes, lines and words are all there is to it. Lines differ in colour, dashes and marks, so that they
//! can be told apart in grey and by the colour-blind; the background is white, whatever surrounds the picture.

#![allow(clippy::cast_precision_loss, reason = "a pixel is coarser")]

mod axis;
mod style;

use std::collections::BTreeMap;
use std::fmt::Write;

use self::axis::Axis;
use self::style::Style;
use crate::report::{Results, Row};
use crate::spread::Spread;

const PANEL: (f64, f64) = (340.0, 390.0);
/// Between a panel and what is left of it.
const LEFT: f64 = 62.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 52.0;
/// Beside each other: a page is not wide enough for more.
const COLUMNS: usize = 2;
/// A legend's line and its mark, and a letter of its text.
const SAMPLE: f64 = 42.0;
const LETTER: f64 = 7.9;
const LINE: f64 = 19.0;
/// Room for what stands above a panel that is not in the first line.
const ABOVE: f64 = 34.0;

/// A picture of one measure on one runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What to call the file.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The picture.
    pub svg: String,
}

/// All that can be drawn: measures whose number of children varies.
pub fn pictures(results: &Results) -> Vec<Picture> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in results.rows.iter().filter(|row| row.nanos.is_some() && row.n.is_some()) {
        let place = groups.iter().position(|group| group.measure == row.measure && group.runtime == row.runtime);
        let place = place.unwrap_or_else(|| {
            groups.push(Group { measure: &row.measure, runtime: &row.runtime, panels: Vec::new(), names: Vec::new() });
            groups.len() - 1
        });
        groups[place].add(row);
    }
    groups.into_iter().filter(Group::is_curve).map(Group::draw).collect()
}

struct Group<'a> {
    measure: &'a str,
    runtime: &'a str,
    panels: Vec<Panel<'a>>,
    /// In the order in which they get their styles, and whether they are ours.
    names: Vec<(&'a str, bool)>,
}

struct Panel<'a> {
    kind: &'a str,
    series: BTreeMap<&'a str, BTreeMap<u64, Spread>>,
}

impl<'a> Group<'a> {
    fn add(&mut self, row: &'a Row) {
        let place = self.panels.iter().position(|panel| panel.kind == row.kind).unwrap_or_else(|| {
            self.panels.push(Panel { kind: &row.kind, series: BTreeMap::new() });
            self.panels.len() - 1
        });
        for (name, nanos, ours) in [(&row.ours, row.nanos, true), (&row.against, row.peer_nanos, false)] {
            let (Some(n), Some(nanos)) = (row.n, nanos) else { continue };
            self.panels[place].series.entry(name).or_default().insert(n, nanos);
            if self.names.iter().all(|(known, _)| known != name) {
                self.names.push((name, ours));
            }
        }
    }

    /// Two points are a line, and no curve.
    fn is_curve(&self) -> bool {
        let longest = self.panels.iter().flat_map(|panel| panel.series.values()).map(BTreeMap::len).max();
        longest.is_some_and(|points| points > 2)
    }

    fn draw(mut self) -> Picture {
        // Ours first.
        self.names.sort_by_key(|(_, ours)| !ours);
        let longest = self.names.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let legend = SAMPLE + longest as f64 * LETTER;
        let panels = self.panels.len().min(COLUMNS) as f64 * (PANEL.0 + LEFT);
        let lines = self.panels.len().div_ceil(COLUMNS) as f64;
        let (width, height) = (panels + 24.0 + legend, TOP + lines * (PANEL.1 + BOTTOM) + (lines - 1.0) * ABOVE);
        let height = height.max(TOP + LINE * (self.names.len() as f64 + 1.0));
        let title = format!("{}: nanoseconds per child, {}", self.measure, self.runtime.replace('_', " "));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{}</text>\n",
            escaped(&title),
        );
        let values = || self.panels.iter().flat_map(|panel| panel.series.values()).flatten();
        let x = Axis::decades(values().map(|(&n, _)| n as f64));
        let y = Axis::steps(values().flat_map(|(_, spread)| [spread.low, spread.high]));
        for (index, panel) in self.panels.iter().enumerate() {
            let left = LEFT + (index % COLUMNS) as f64 * (PANEL.0 + LEFT);
            let top = TOP + (index / COLUMNS) as f64 * (PANEL.1 + BOTTOM + ABOVE);
            panel.draw(&mut svg, (left, top), (&x, &y), &self.names);
        }
        self.legend(&mut svg, panels + 24.0);
        svg.push_str("</svg>\n");
        let name = format!("{} {}", self.measure, self.runtime).replace([' ', '_'], "-");
        Picture { name: format!("{name}.svg"), title, svg }
    }

    fn legend(&self, svg: &mut String, left: f64) {
        for (index, (name, ours)) in self.names.iter().enumerate() {
            let style = Style::of(&self.names, index);
            let y = TOP + LINE * (index as f64 + 0.5);
            style.line(svg, &[(left, y), (left + 34.0, y)]);
            style.mark(svg, left + 17.0, y);
            let weight = if *ours { " font-weight=\"bold\"" } else { "" };
            let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\"{weight}>{}</text>", left + SAMPLE, y + 4.5, escaped(name));
        }
    }
}

impl Panel<'_> {
    fn draw(&self, svg: &mut String, (left, top): (f64, f64), (x, y): (&Axis, &Axis), names: &[(&str, bool)]) {
        let at = |n: f64, nanos: f64| (left + x.place(n) * PANEL.0, top + (1.0 - y.place(nanos)) * PANEL.1);
        let (right, bottom) = (left + PANEL.0, top + PANEL.1);
        for (value, label) in &y.ticks {
            let height = at(1.0, *value).1;
            let _ = writeln!(svg, "<path d=\"M{left:.1} {height:.1}H{right:.1}\" stroke=\"#dddddd\"/>");
            let (x, y) = (left - 7.0, height + 4.5);
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>");
        }
        for (value, label) in &x.ticks {
            let across = at(*value, y.ticks[0].0).0;
            let _ = writeln!(svg, "<path d=\"M{across:.1} {top}V{bottom}\" stroke=\"#eeeeee\"/>");
            let below = bottom + 19.0;
            let _ = writeln!(svg, "<text x=\"{across:.1}\" y=\"{below}\" text-anchor=\"middle\">{label}</text>");
        }
        let _ = writeln!(svg, "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#444444\"/>");
        let (middle, above, below) = (left + PANEL.0 / 2.0, top - 10.0, bottom + 40.0);
        let kind = escaped(self.kind);
        let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{above}\" text-anchor=\"middle\">{kind}</text>");
        let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">children</text>");
        // Ours last, on top.
        for (index, (name, _)) in names.iter().enumerate().rev() {
            let Some(points) = self.series.get(name) else { continue };
            let style = Style::of(names, index);
            let _ = writeln!(svg, "<g><title>{}: {kind}</title>", escaped(name));
            for (&n, spread) in points {
                let ((x, low), (_, high)) = (at(n as f64, spread.low), at(n as f64, spread.high));
                let _ = writeln!(svg, "<path d=\"M{x:.1} {low:.1}V{high:.1}\" stroke=\"{}\"/>", style.colour);
            }
            let line: Vec<_> = points.iter().map(|(&n, spread)| at(n as f64, spread.median)).collect();
            style.line(svg, &line);
            for (x, y) in line {
                style.mark(svg, x, y);
            }
            svg.push_str("</g>\n");
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::pictures;
    use crate::report::{Results, Row, Unit};
    use crate::{Machine, Spread};

    fn row(kind: &str, n: u64, against: &str) -> Row {
        let mut row = Row::exact("spawn", "ours & mine", against, 1.0, Unit::Ratio).kind(kind).n(n);
        "current_thread".clone_into(&mut row.runtime);
        row.nanos = Some(Spread { low: 150.0, median: 200.0, high: 250.0 });
        row.peer_nanos = Some(Spread::exact(100.0));
        row
    }

    fn results(numbers: &[u64]) -> Results {
        let rows = numbers.iter().flat_map(|&n| {
            ["ready", "slow"].into_iter().flat_map(move |kind| ["a", "b<c>"].map(|against| row(kind, n, against)))
        });
        Results { mode: String::new(), machine: Machine::default(), rows: rows.collect(), notes: Vec::new() }
    }

    #[test]
    fn every_series_is_in_every_panel_and_in_the_legend() {
        let pictures = pictures(&results(&[10, 1_000, 100_000]));
        assert_eq!(pictures.len(), 1);
        let picture = &pictures[0];
        assert_eq!(picture.name, "spawn-current-thread.svg");
        for name in ["ours &amp; mine", "a", "b&lt;c&gt;"] {
            assert_eq!(picture.svg.matches(&format!(">{name}</text>")).count(), 1, "{name} in the legend");
            for kind in ["ready", "slow"] {
                assert!(picture.svg.contains(&format!("<title>{name}: {kind}</title>")), "{name}, {kind}");
            }
        }
        assert!(!picture.svg.contains("NaN") && !picture.svg.contains("inf"));
    }

    #[test]
    fn what_is_measured_with_two_numbers_only_is_no_curve() {
        assert!(pictures(&results(&[10, 1_000])).is_empty());
    }
}

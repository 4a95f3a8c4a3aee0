//! How lines are told apart.

use std::fmt::Write;

/// A line's looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    pub(super) colour: &'static str,
    width: f64,
    dashes: &'static str,
    mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Disc,
    Ring,
    Square,
    Triangle,
    Diamond,
    Cross,
    Frame,
    Plus,
    Upturned,
    Lozenge,
}

/// Okabe and Ito's colours, which the colour-blind can tell apart, and shades for who comes after them.
const PEERS: [(&str, &str, Mark); 12] = [
    ("#0072b2", "", Mark::Square),
    ("#d55e00", "", Mark::Triangle),
    ("#009e73", "", Mark::Diamond),
    ("#cc79a7", "6 3", Mark::Cross),
    ("#e69f00", "6 3", Mark::Frame),
    ("#56b4e9", "6 3", Mark::Plus),
    ("#8c510a", "2 3", Mark::Upturned),
    ("#5e3c99", "2 3", Mark::Lozenge),
    ("#777777", "2 3", Mark::Square),
    ("#35978f", "8 3 2 3", Mark::Triangle),
    ("#b2182b", "8 3 2 3", Mark::Diamond),
    ("#999999", "8 3 2 3", Mark::Cross),
];

const OURS: [(&str, &str, Mark); 3] =
    [("#000000", "", Mark::Disc), ("#000000", "7 4", Mark::Ring), ("#000000", "2 3", Mark::Frame)];

impl Style {
    /// Of the one at this place. Ours are black and thick.
    pub(super) fn of(names: &[(&str, bool)], index: usize) -> Self {
        let ours = names[index].1;
        let place = names[..index].iter().filter(|(_, other)| *other == ours).count();
        let (colour, dashes, mark) = if ours { OURS[place % OURS.len()] } else { PEERS[place % PEERS.len()] };
        Self { colour, dashes, mark, width: if ours { 2.8 } else { 1.6 } }
    }

    pub(super) fn line(&self, svg: &mut String, points: &[(f64, f64)]) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let Self { colour, width, dashes, .. } = self;
        let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>",
            points.join(" "),
        );
    }

    pub(super) fn mark(&self, svg: &mut String, x: f64, y: f64) {
        let (shape, filled) = match self.mark {
            Mark::Disc => ("m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", true),
            Mark::Ring => ("m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", false),
            Mark::Square => ("m-3.5 -3.5h7v7h-7z", true),
            Mark::Frame => ("m-3.5 -3.5h7v7h-7z", false),
            Mark::Triangle => ("m0 -4.5l4.5 8h-9z", true),
            Mark::Upturned => ("m0 4.5l4.5 -8h-9z", false),
            Mark::Diamond => ("m0 -5l5 5l-5 5l-5 -5z", true),
            Mark::Lozenge => ("m0 -5l5 5l-5 5l-5 -5z", false),
            Mark::Cross => ("m-4 -4l8 8m0 -8l-8 8", false),
            Mark::Plus => ("m-4.5 0h9m-4.5 -4.5v9", false),
        };
        let (colour, fill) = (self.colour, if filled { self.colour } else { "#ffffff" });
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {y:.1}{shape}\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.6\"/>"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Style;

    #[test]
    fn no_two_lines_look_alike() {
        let names: Vec<_> = (0..15).map(|index| ("name", index < 3)).collect();
        let styles: Vec<_> = (0..names.len()).map(|index| Style::of(&names, index)).collect();
        for (index, style) in styles.iter().enumerate() {
            assert!(styles[..index].iter().all(|other| other != style), "{index}: {style:?}");
        }
    }
}

//! What a run says about itself.

use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::tally::{KINDS, TALLY, resident};

pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) took: Duration,
    /// At the start, in the middle, at the end, in kilobytes.
    pub(crate) memory: [Option<u64>; 3],
    /// Tokio's tasks that are alive at the end and were not at the start.
    pub(crate) tasks_left: usize,
    /// What the root still has.
    pub(crate) root_left: usize,
    /// Loops over trees that a panic ended: the scope around a tree lets none through.
    pub(crate) broken: u64,
}

impl Report {
    /// What is not as it has to be.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let (started, ended) = (TALLY.started(), TALLY.ended());
        let counts = [
            (TALLY.live(), "tasks are left alive"),
            (started.abs_diff(ended), "is the difference between tasks started and ended"),
            (self.tasks_left as u64, "of Tokio's tasks are left"),
            (self.root_left as u64, "children of the root are left"),
            (TALLY.early.load(Ordering::SeqCst), "trees resolved before everything in them had ended"),
            (TALLY.unexpected.load(Ordering::SeqCst), "panics were not meant"),
            (self.broken, "loops over trees were ended by a panic"),
        ];
        let mut wrong: Vec<_> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if TALLY.trees.load(Ordering::SeqCst) == 0 || started == 0 {
            wrong.push("nothing was run".to_owned());
        }
        wrong
    }

    /// Names and numbers; a number is `None` where the system does not tell.
    fn rows(&self) -> Vec<(String, Option<u64>)> {
        let count = |count: &std::sync::atomic::AtomicU64| Some(count.load(Ordering::SeqCst));
        let mut rows = vec![
            ("seed".to_owned(), Some(self.seed)),
            ("seconds".to_owned(), Some(self.took.as_secs())),
            ("trees".to_owned(), count(&TALLY.trees)),
            ("scopes".to_owned(), Some(TALLY.scopes())),
        ];
        rows.extend(KINDS.iter().zip(TALLY.kinds()).map(|(kind, count)| (format!("scopes {kind}"), Some(count))));
        let rest = [
            ("tasks started", Some(TALLY.started())),
            ("tasks ended", Some(TALLY.ended())),
            ("live at the end", Some(TALLY.live())),
            ("peak live", Some(TALLY.peak())),
            ("tokio tasks left", Some(self.tasks_left as u64)),
            ("root children left", Some(self.root_left as u64)),
            ("resolved early", count(&TALLY.early)),
            ("panics not meant", count(&TALLY.unexpected)),
            ("failures told to the hook", count(&TALLY.unhandled)),
            ("prompt cancellations", count(&TALLY.cancellations)),
            ("slowest of them in microseconds", u64::try_from(TALLY.slowest().as_micros()).ok()),
            ("longest stall of the machine", u64::try_from(TALLY.longest_stall().as_micros()).ok()),
            ("memory in kB at the start", self.memory[0]),
            ("memory in kB in the middle", self.memory[1]),
            ("memory in kB at the end", self.memory[2]),
        ];
        rows.extend(rest.map(|(name, number)| (name.to_owned(), number)));
        rows
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, number) in self.rows() {
            let number = number.map_or_else(|| "unknown".to_owned(), |number| number.to_string());
            writeln!(text, "{name:<32} {number:>12}").expect("a string takes everything");
        }
        text
    }

    pub(crate) fn json(&self) -> String {
        let rows: Vec<_> = self
            .rows()
            .into_iter()
            .map(|(name, number)| {
                let number = number.map_or_else(|| "\"unknown\"".to_owned(), |number| number.to_string());
                format!("  \"{}\": {number}", name.replace(' ', "_"))
            })
            .collect();
        format!("{{\n{}\n}}\n", rows.join(",\n"))
    }
}

/// One line on the way.
pub(crate) fn progress(elapsed: Duration) -> String {
    let memory = resident().map_or_else(|| "unknown".to_owned(), |kilobytes| format!("{kilobytes} kB"));
    format!(
        "{} s: {} trees, {} scopes, {} tasks started, {} live (peak {}), memory {memory}",
        elapsed.as_secs(),
        TALLY.trees.load(Ordering::SeqCst),
        TALLY.scopes(),
        TALLY.started(),
        TALLY.live(),
        TALLY.peak(),
    )
}

//! The tree on a terminal, redrawn in place.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::board::{Board, Line};

/// A terminal that is lower than this has become rare, and no plan's tree may scroll it.
const MOST_LINES: usize = 22;

/// Redraws the tree for as long as it is polled. Wherever it is dropped, the tree goes with it: the report takes its place.
pub(crate) async fn keep(board: Arc<Board>) {
    let mut drawn = Drawn(0);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        drawn.replace(&tree(&board.snapshot()));
    }
}

/// How many lines are on the screen.
struct Drawn(usize);

impl Drawn {
    fn replace(&mut self, lines: &[String]) {
        // Lines that are too long are cut off by the terminal instead of wrapped, so that one line stays one.
        let mut text = String::from("\x1b[?7l");
        if self.0 > 0 {
            let _ = write!(text, "\x1b[{}A", self.0);
        }
        text.push_str("\r\x1b[J");
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str("\x1b[?7h");
        self.0 = lines.len();
        // A terminal that went away is no reason to stop.
        let mut terminal = io::stderr().lock();
        let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        self.replace(&[]);
    }
}

fn tree(lines: &[Line]) -> Vec<String> {
    let shown = if lines.len() > MOST_LINES { MOST_LINES - 1 } else { lines.len() };
    let mut tree: Vec<_> =
        (0..shown).map(|row| format!("{:<32} {}", branch(lines, row) + &lines[row].name, lines[row].state)).collect();
    if shown < lines.len() {
        tree.push(format!("... and {} more", lines.len() - shown));
    }
    tree
}

/// The lines in front of a name.
fn branch(lines: &[Line], row: usize) -> String {
    let depth = lines[row].depth;
    let below = &lines[row + 1..];
    // Whether another scope follows at this depth, under the same parent.
    let goes_on = |depth| below.iter().find(|line| line.depth <= depth).is_some_and(|line| line.depth == depth);
    let mut branch = String::new();
    for above in 1..depth {
        branch += if goes_on(above) { "│  " } else { "   " };
    }
    match depth {
        0 => {}
        _ if goes_on(depth) => branch += "├─ ",
        _ => branch += "└─ ",
    }
    branch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn drawn(executors: usize) -> Vec<String> {
        let executor = |number| serde_json::json!({ "name": format!("e{number}"), "work": "hang" });
        let plan = serde_json::json!({ "name": "plan", "sessions": [
            { "name": "first", "executors": (1..=executors).map(executor).collect::<Vec<_>>() },
            { "name": "last", "executors": [executor(0)] },
        ] });
        let plan: Plan = serde_json::from_value(plan).unwrap();
        let lines = tree(&Board::new(&plan, false).snapshot());
        lines.iter().map(|line| line.trim_end_matches("waiting").trim_end().to_owned()).collect()
    }

    #[test]
    fn the_tree_has_a_branch_for_every_scope() {
        assert_eq!(drawn(2), ["plan", "├─ first", "│  ├─ e1", "│  └─ e2", "└─ last", "   └─ e0"]);
    }

    #[test]
    fn a_tree_higher_than_a_terminal_is_cut_off() {
        let lines = drawn(30);
        assert_eq!(lines.len(), MOST_LINES);
        assert_eq!(lines[MOST_LINES - 1], "... and 13 more");
    }
}

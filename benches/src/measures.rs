//! What is measured. Each file says what exactly both sides do, and where they differ in what they do.

mod accepting;
mod ambient;
mod asking;
mod borrowing;
mod cancelling;
mod deadlines;
mod join_set;
mod limits;
mod opening;
mod spawning;
mod trees;
mod workers;

use crate::rounds::{Contest, Plan};

pub(crate) fn contests(plan: Plan) -> Vec<Contest> {
    let measures = [
        spawning::contests,
        ambient::contests,
        opening::contests,
        trees::contests,
        borrowing::contests,
        cancelling::contests,
        deadlines::contests,
        asking::contests,
        accepting::contests,
        workers::contests,
        limits::contests,
        join_set::contests,
    ];
    measures.iter().flat_map(|contests| contests(plan)).collect()
}

/// The numbers of children to measure with: a curve.
fn sizes(plan: Plan) -> &'static [u32] {
    if plan.full { &[10, 100, 1_000, 10_000, 100_000, 1_000_000] } else { &[10, 1_000, 100_000] }
}

/// How often to repeat `count` operations, so that a sample is neither too short nor too long.
fn times(count: u32) -> u32 {
    (20_000 / count).max(1)
}

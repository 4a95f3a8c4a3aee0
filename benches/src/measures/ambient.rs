//! `sc_tokio::spawn`, the drop-in for `tokio::spawn`: the same handles, awaited in the same order.
//!
//! In a nursery the tasks are the nursery's, which waits for them and would abort them; in no scope they are the root's.
//! `TaskTracker::spawn` gives Tokio's handle as well, counts, and aborts nothing.

use std::hint::black_box;

use sc_bench::work::{self, Work};
use sc_tokio::{Cancelled, nursery};
use tokio_util::task::TaskTracker;

use super::{sizes, times};
use crate::rounds::{Contest, Contestant, Flavour, Plan};

const OURS: &str = "sc_tokio::spawn in a nursery";
const BARE: &str = "tokio::spawn";

pub(super) fn contests(plan: Plan) -> Vec<Contest> {
    let counts = if plan.full { sizes(plan) } else { &[10, 1_000] };
    let mut contests = Vec::new();
    for flavour in Flavour::BOTH {
        for &count in counts {
            contests.push(contest("ready", count, flavour, work::ready));
            contests.push(contest("suspended once", count, flavour, work::suspended));
        }
    }
    contests
}

fn contest<F: Work>(kind: &str, count: u32, flavour: Flavour, child: fn(u64) -> F) -> Contest {
    let times = times(count);
    Contest::new("ambient spawn", flavour, times * count)
        .kind(kind)
        .n(count)
        .ours(Contestant::repeated(OURS, times, move || in_a_nursery(count, child)))
        .ours(Contestant::repeated("sc_tokio::spawn in no scope", times, move || in_no_scope(count, child)))
        .peer(Contestant::repeated(BARE, times, move || bare(count, child)))
        .peer(Contestant::repeated("TaskTracker::spawn", times, move || tracked(count, child)))
        .target(OURS, BARE, if count == 10 { 1.35 } else { 1.25 })
}

macro_rules! join {
    ($count:expr, $spawn:expr) => {{
        let tasks: Vec<_> = (0..u64::from($count)).map($spawn).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("no task panics").expect("no task fails");
        }
        black_box(sum)
    }};
}

async fn in_a_nursery<F: Work>(count: u32, child: fn(u64) -> F) {
    let end = nursery!(async |_n| -> Result<(), Cancelled> {
        join!(count, |number| sc_tokio::spawn(child(number)));
        Ok(())
    });
    end.await.expect("no child fails");
}

async fn in_no_scope<F: Work>(count: u32, child: fn(u64) -> F) {
    join!(count, |number| sc_tokio::spawn(child(number)));
}

async fn bare<F: Work>(count: u32, child: fn(u64) -> F) {
    join!(count, |number| tokio::spawn(child(number)));
}

async fn tracked<F: Work>(count: u32, child: fn(u64) -> F) {
    let tracker = TaskTracker::new();
    join!(count, |number| tracker.spawn(child(number)));
    tracker.close();
    tracker.wait().await;
}

//! Results in the order in which they come: `ScopedJoinSet`, whose tasks belong to a scope, against the `JoinSet` that it
//! is made of.

use std::hint::black_box;

use sc_bench::work::{self, Work};
use sc_tokio::{Cancelled, nursery};
use tokio::task::JoinSet;

use super::times;
use crate::rounds::{Contest, Contestant, Flavour, Plan};

pub(super) fn contests(plan: Plan) -> Vec<Contest> {
    let counts: &[u32] = if plan.full { &[1_000, 100_000] } else { &[1_000] };
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
    Contest::new("join set", flavour, times * count)
        .kind(kind)
        .n(count)
        .ours(Contestant::repeated("ScopedJoinSet, join_next", times, move || scoped(count, child)))
        .peer(Contestant::repeated("JoinSet, join_next", times, move || bare(count, child)))
}

async fn scoped<F: Work>(count: u32, child: fn(u64) -> F) {
    let sum = nursery!(async |n| -> Result<u64, Cancelled> {
        let mut set = n.join_set();
        for number in 0..u64::from(count) {
            set.spawn(child(number));
        }
        let mut sum = 0;
        while let Some(end) = set.join_next().await {
            sum += end.expect("no child fails");
        }
        Ok(sum)
    });
    black_box(sum.await.expect("no child fails"));
}

async fn bare<F: Work>(count: u32, child: fn(u64) -> F) {
    let mut set = JoinSet::new();
    for number in 0..u64::from(count) {
        set.spawn(child(number));
    }
    let mut sum = 0;
    while let Some(end) = set.join_next().await {
        sum += end.expect("no task panics").expect("no task fails");
    }
    black_box(sum);
}

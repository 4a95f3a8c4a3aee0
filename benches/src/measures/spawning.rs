//! Spawn and join: `n` children that give a number each, and the sum of the numbers.
//!
//! All of ours and of the peers' children get their number as an argument, so that captures are equal. Where a model has
//! handles, all are made first and then awaited in the order of their making; where it has a stream of results, that is
//! drained. With "handles dropped" the scope waits for children whose results nobody wants, as `TaskTracker` does.
//!
//! - `tokio::spawn`, `JoinSet`: no cancellation, no scope.
//! - `TaskTracker` with `CancellationToken`: what one writes by hand for the same guarantee on the way out; every child
//!   runs under `run_until_cancelled`, the token is never cancelled here.
//! - `FuturesUnordered`: no tasks, hence no parallelism and no allocation of Tokio's.

use std::hint::black_box;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use sc_bench::work::{self, Work};
use sc_tokio::{Cancelled, nursery};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{sizes, times};
use crate::rounds::{Contest, Contestant, Flavour, Plan};

const AWAITED: &str = "handles awaited";
const DROPPED: &str = "handles dropped";
const BARE: &str = "tokio::spawn, handles awaited";
const SET: &str = "JoinSet, join_next";

pub(super) fn contests(plan: Plan) -> Vec<Contest> {
    let mut contests = Vec::new();
    for flavour in Flavour::BOTH {
        for &count in sizes(plan) {
            contests.push(contest("ready", count, flavour, work::ready));
            contests.push(contest("suspended once", count, flavour, work::suspended));
        }
    }
    contests
}

fn contest<F: Work>(kind: &str, count: u32, flavour: Flavour, child: fn(u64) -> F) -> Contest {
    let times = times(count);
    let (bare, set) = match (kind, count) {
        ("ready", 10) => (1.25, 0.80),
        ("ready", _) => (1.15, 0.80),
        _ => (1.30, 0.85),
    };
    Contest::new("spawn and join", flavour, times * count)
        .kind(kind)
        .n(count)
        .ours(Contestant::repeated(AWAITED, times, move || awaited(count, child)))
        .ours(Contestant::repeated(DROPPED, times, move || dropped(count, child)))
        .peer(Contestant::repeated(BARE, times, move || bare_tasks(count, child)))
        .peer(Contestant::repeated(SET, times, move || join_set(count, child)))
        .peer(Contestant::repeated("TaskTracker, CancellationToken", times, move || tracker(count, child)))
        .peer(Contestant::repeated("FuturesUnordered", times, move || unordered(count, child)))
        .target(AWAITED, BARE, bare)
        .target(AWAITED, SET, set)
        .target(DROPPED, BARE, bare)
        .target(DROPPED, SET, set)
}

async fn awaited<F: Work>(count: u32, child: fn(u64) -> F) {
    let sum = nursery!(async |n| -> Result<u64, Cancelled> {
        let children: Vec<_> = (0..u64::from(count)).map(|number| n.spawn(child(number))).collect();
        let mut sum = 0;
        for child in children {
            sum += child.await;
        }
        Ok(sum)
    });
    black_box(sum.await.expect("no child fails"));
}

async fn dropped<F: Work>(count: u32, child: fn(u64) -> F) {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for number in 0..u64::from(count) {
            drop(n.spawn(child(number)));
        }
        Ok(())
    });
    end.await.expect("no child fails");
}

async fn bare_tasks<F: Work>(count: u32, child: fn(u64) -> F) {
    let tasks: Vec<_> = (0..u64::from(count)).map(|number| tokio::spawn(child(number))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("no task panics").expect("no task fails");
    }
    black_box(sum);
}

async fn join_set<F: Work>(count: u32, child: fn(u64) -> F) {
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

async fn tracker<F: Work>(count: u32, child: fn(u64) -> F) {
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    let spawn = |number| tracker.spawn(token.clone().run_until_cancelled_owned(child(number)));
    let tasks: Vec<_> = (0..u64::from(count)).map(spawn).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("no task panics").expect("nobody cancels").expect("no task fails");
    }
    tracker.close();
    tracker.wait().await;
    black_box(sum);
}

async fn unordered<F: Work>(count: u32, child: fn(u64) -> F) {
    let mut set: FuturesUnordered<F> = (0..u64::from(count)).map(child).collect();
    let mut sum = 0;
    while let Some(end) = set.next().await {
        sum += end.expect("no future fails");
    }
    black_box(sum);
}

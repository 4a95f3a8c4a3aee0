//! Trees of scopes, one task a level or a branch.
//!
//! - "Nested": every child opens a scope with one child, `n` levels down; the innermost is ready. Costs are per level.
//! - "Wide": one scope with `n` children, each of which opens a scope with ten children. Costs are per task.
//! - "Torn down": as nested, the innermost level parked; measured from the cancellation at the top until all have ended.
//!   Of the peers only a token per level with one tracker waits for all; with a `JoinSet` per level nobody is told
//!   when the last level has gone, so that a count has to say so.

use std::future::pending;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sc_bench::clock::Stopwatch;
use sc_bench::work::{self, Output};
use sc_tokio::{Cancelled, nursery};
use tokio::task::{JoinSet, yield_now};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cancelling::until_parked;
use super::{sizes, times};
use crate::rounds::{Contest, Contestant, Flavour, Plan};

/// Children of each branch of a wide tree.
const LEAVES: u32 = 10;
/// As deep as the design asks for.
const DEEPEST: u32 = 100_000;

pub(super) fn contests(plan: Plan) -> Vec<Contest> {
    let mut contests = Vec::new();
    for flavour in Flavour::BOTH {
        for &depth in sizes(plan).iter().filter(|&&depth| depth <= DEEPEST) {
            contests.push(nested(depth, flavour));
        }
        contests.extend([10, 1_000].map(|count| wide(count, flavour)));
        let depths: &[u32] = if plan.full { &[1_000, 10_000, DEEPEST] } else { &[1_000, DEEPEST] };
        contests.extend(depths.iter().map(|&depth| torn_down(depth, flavour)));
    }
    contests
}

fn nested(depth: u32, flavour: Flavour) -> Contest {
    let times = times(depth);
    Contest::new("nested scopes", flavour, times * depth)
        .kind("one task a level")
        .n(depth)
        .ours(Contestant::repeated("a nursery a level", times, move || async move { drop(scopes(depth).await) }))
        .peer(Contestant::repeated("tokio::spawn", times, move || async move { drop(tasks(depth).await) }))
        .peer(Contestant::repeated("a JoinSet a level", times, move || async move { drop(sets(depth).await) }))
}

type Level = Pin<Box<dyn Future<Output = Output> + Send>>;

fn scopes(depth: u32) -> Level {
    if depth == 0 {
        return Box::pin(work::ready(0));
    }
    Box::pin(async move { nursery!(async move |n| -> Output { Ok(n.spawn(scopes(depth - 1)).await) }).await })
}

fn tasks(depth: u32) -> Level {
    if depth == 0 {
        return Box::pin(work::ready(0));
    }
    Box::pin(async move { tokio::spawn(tasks(depth - 1)).await.expect("no task panics") })
}

fn sets(depth: u32) -> Level {
    if depth == 0 {
        return Box::pin(work::ready(0));
    }
    Box::pin(async move {
        let mut set = JoinSet::new();
        set.spawn(sets(depth - 1));
        set.join_next().await.expect("there is one").expect("no task panics")
    })
}

fn wide(count: u32, flavour: Flavour) -> Contest {
    let tasks = count * (LEAVES + 1);
    let times = times(tasks);
    Contest::new("wide tree", flavour, times * tasks)
        .kind("ten leaves a branch")
        .n(count)
        .ours(Contestant::repeated("a nursery a branch", times, move || scope_tree(count)))
        .peer(Contestant::repeated("tokio::spawn", times, move || task_tree(count)))
        .peer(Contestant::repeated("a JoinSet a branch", times, move || set_tree(count)))
}

async fn scope_tree(count: u32) {
    let branch = || async {
        nursery!(async |n| -> Output {
            let leaves: Vec<_> = (0..u64::from(LEAVES)).map(|number| n.spawn(work::ready(number))).collect();
            let mut sum = 0;
            for leaf in leaves {
                sum += leaf.await;
            }
            Ok(sum)
        })
        .await
    };
    let sum = nursery!(async |n| -> Output {
        let branches: Vec<_> = (0..count).map(|_| n.spawn(branch())).collect();
        let mut sum = 0;
        for branch in branches {
            sum += branch.await;
        }
        Ok(sum)
    });
    black_box(sum.await.expect("no child fails"));
}

async fn task_tree(count: u32) {
    let branch = || async {
        let leaves: Vec<_> = (0..u64::from(LEAVES)).map(|number| tokio::spawn(work::ready(number))).collect();
        let mut sum = 0;
        for leaf in leaves {
            sum += leaf.await.expect("no task panics").expect("no task fails");
        }
        sum
    };
    let branches: Vec<_> = (0..count).map(|_| tokio::spawn(branch())).collect();
    let mut sum = 0;
    for branch in branches {
        sum += branch.await.expect("no task panics");
    }
    black_box(sum);
}

async fn set_tree(count: u32) {
    let branch = || async {
        let mut leaves: JoinSet<Output> = (0..u64::from(LEAVES)).map(work::ready).collect();
        let mut sum = 0;
        while let Some(leaf) = leaves.join_next().await {
            sum += leaf.expect("no task panics").expect("no task fails");
        }
        sum
    };
    let mut branches: JoinSet<u64> = (0..count).map(|_| branch()).collect();
    let mut sum = 0;
    while let Some(branch) = branches.join_next().await {
        sum += branch.expect("no task panics");
    }
    black_box(sum);
}

fn torn_down(depth: u32, flavour: Flavour) -> Contest {
    Contest::new("nested scopes torn down", flavour, depth)
        .kind("one task a level")
        .n(depth)
        .ours(Contestant::new("a nursery a level", move || cancel_scopes(depth)))
        .peer(Contestant::new("TaskTracker, a child token a level", move || cancel_tokens(depth)))
        .peer(Contestant::new("a JoinSet a level, watched", move || abort_sets(depth)))
}

/// Counts who lives.
struct Alive(Arc<AtomicU32>);

impl Alive {
    fn one(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn parked_scopes(depth: u32, alive: Arc<AtomicU32>) -> Level {
    Box::pin(async move {
        let _alive = Alive::one(&alive);
        if depth == 1 {
            return pending().await;
        }
        nursery!(async move |n| -> Output {
            n.spawn(parked_scopes(depth - 1, alive));
            pending().await
        })
        .await
    })
}

async fn cancel_scopes(depth: u32) -> Duration {
    let alive = Arc::new(AtomicU32::new(0));
    let mut started = Stopwatch::start();
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(parked_scopes(depth, Arc::clone(&alive)));
        until_parked(&alive, depth).await;
        started = Stopwatch::start();
        n.cancel("measured");
        Ok(())
    });
    end.await.expect_err("children were cut short");
    started.elapsed()
}

fn parked_tokens(depth: u32, tracker: TaskTracker, token: CancellationToken, alive: Arc<AtomicU32>) -> Level {
    Box::pin(async move {
        let _alive = Alive::one(&alive);
        if depth > 1 {
            drop(tracker.spawn(parked_tokens(depth - 1, tracker.clone(), token.child_token(), Arc::clone(&alive))));
        }
        token.cancelled().await;
        Ok(0)
    })
}

async fn cancel_tokens(depth: u32) -> Duration {
    let alive = Arc::new(AtomicU32::new(0));
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    drop(tracker.spawn(parked_tokens(depth, tracker.clone(), token.child_token(), Arc::clone(&alive))));
    tracker.close();
    until_parked(&alive, depth).await;
    let started = Stopwatch::start();
    token.cancel();
    tracker.wait().await;
    started.elapsed()
}

fn parked_sets(depth: u32, alive: Arc<AtomicU32>) -> Level {
    Box::pin(async move {
        let _alive = Alive::one(&alive);
        let mut set = JoinSet::new();
        if depth > 1 {
            set.spawn(parked_sets(depth - 1, alive));
        }
        set.join_next().await;
        pending().await
    })
}

async fn abort_sets(depth: u32) -> Duration {
    let alive = Arc::new(AtomicU32::new(0));
    let mut top = JoinSet::new();
    top.spawn(parked_sets(depth, Arc::clone(&alive)));
    until_parked(&alive, depth).await;
    let started = Stopwatch::start();
    drop(top);
    while alive.load(Ordering::Relaxed) > 0 {
        yield_now().await;
    }
    started.elapsed()
}

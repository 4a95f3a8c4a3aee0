//! Spawn and join: children with handles, and without, against bare tasks and `JoinSet`.

use std::hint::black_box;

use sc_bench::work::{self, Output};
use sc_tokio::{Cancelled, nursery};
use tokio::task::JoinSet;

use crate::rounds::{Contest, Contestant, Flavour, Pair};

/// About as many children in one sample, however few at a time.
const CHILDREN: u32 = 20_000;

pub(crate) fn contests() -> Vec<Contest> {
    let mut contests = Vec::new();
    for flavour in Flavour::BOTH {
        for count in [10, 1_000, 100_000] {
            contests.push(contest("ready", count, flavour, work::ready));
            contests.push(contest("suspended once", count, flavour, work::suspended));
        }
    }
    contests
}

fn contest<F>(kind: &str, count: u32, flavour: Flavour, child: fn(u64) -> F) -> Contest
where
    F: Future<Output = Output> + Send + 'static,
{
    let times = (CHILDREN / count).max(1);
    let (bare, set) = match (kind, count) {
        ("ready", 10) => (1.25, 0.80),
        ("ready", _) => (1.15, 0.80),
        _ => (1.30, 0.85),
    };
    let pair = |ours, peer, target| Pair { ours, peer, target: Some(target) };
    Contest {
        name: format!("spawn and join {count}, {kind}"),
        flavour,
        contestants: vec![
            Contestant::repeated("handles awaited", times, move || awaited(count, child)),
            Contestant::repeated("handles dropped", times, move || dropped(count, child)),
            Contestant::repeated("tokio::spawn, handles awaited", times, move || bare_tasks(count, child)),
            Contestant::repeated("JoinSet, join_next", times, move || join_set(count, child)),
        ],
        pairs: vec![pair(0, 2, bare), pair(0, 3, set), pair(1, 2, bare), pair(1, 3, set)],
        operations: times * count,
    }
}

async fn awaited<F>(count: u32, child: fn(u64) -> F)
where
    F: Future<Output = Output> + Send + 'static,
{
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

async fn dropped<F>(count: u32, child: fn(u64) -> F)
where
    F: Future<Output = Output> + Send + 'static,
{
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for number in 0..u64::from(count) {
            drop(n.spawn(child(number)));
        }
        Ok(())
    });
    end.await.expect("no child fails");
}

async fn bare_tasks<F>(count: u32, child: fn(u64) -> F)
where
    F: Future<Output = Output> + Send + 'static,
{
    let tasks: Vec<_> = (0..u64::from(count)).map(|number| tokio::spawn(child(number))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("no task panics").expect("no task fails");
    }
    black_box(sum);
}

async fn join_set<F>(count: u32, child: fn(u64) -> F)
where
    F: Future<Output = Output> + Send + 'static,
{
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

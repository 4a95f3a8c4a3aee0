//! The loop of a server: children come and go, 100 of them alive, suspended once each. The long run is the point: what a
//! finished child leaves behind would show as cost.
//!
//! The oldest handle is awaited when there are 100, or a seat is waited for, or the next result is taken: three ways to
//! bound a loop, each against the peer that does it the same way. `TaskTracker` is bounded by a `Semaphore`.

use std::collections::VecDeque;
use std::sync::Arc;

use sc_bench::work;
use sc_tokio::{Cancelled, nursery};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::rounds::{Contest, Contestant, Flavour, Plan};

const ALIVE: usize = 100;

const RING: &str = "oldest handle awaited";
const SEATS: &str = "Scope::reserve";
const SET: &str = "ScopedJoinSet";

pub(super) fn contests(plan: Plan) -> Vec<Contest> {
    let flavours = Flavour::BOTH.into_iter();
    let mut contests: Vec<_> =
        flavours.clone().map(|flavour| contest(if plan.full { 1_000_000 } else { 100_000 }, flavour)).collect();
    if plan.full {
        contests.extend(flavours.map(|flavour| rings(10_000_000, flavour)));
    }
    contests
}

fn contest(count: u32, flavour: Flavour) -> Contest {
    rings(count, flavour)
        .ours(Contestant::repeated(SEATS, 1, move || seats(count)))
        .ours(Contestant::repeated(SET, 1, move || set(count)))
        .peer(Contestant::repeated("TaskTracker, Semaphore", 1, move || bare_seats(count)))
        .peer(Contestant::repeated("JoinSet", 1, move || bare_set(count)))
        .compare(SEATS, "TaskTracker, Semaphore")
        .compare(SET, "JoinSet")
}

/// Without the others, for as long as it takes.
fn rings(count: u32, flavour: Flavour) -> Contest {
    Contest::new("accept loop", flavour, count)
        .kind("100 alive")
        .n(count)
        .ours(Contestant::repeated(RING, 1, move || ring(count)))
        .peer(Contestant::repeated("tokio::spawn, oldest handle awaited", 1, move || bare_ring(count)))
}

async fn ring(count: u32) {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        let mut alive = VecDeque::with_capacity(ALIVE);
        for number in 0..u64::from(count) {
            if alive.len() == ALIVE {
                alive.pop_front().expect("it is full").await;
            }
            alive.push_back(n.spawn(work::suspended(number)));
        }
        Ok(())
    });
    end.await.expect("no child fails");
}

async fn bare_ring(count: u32) {
    let mut alive = VecDeque::with_capacity(ALIVE);
    for number in 0..u64::from(count) {
        if alive.len() == ALIVE {
            let oldest: tokio::task::JoinHandle<work::Output> = alive.pop_front().expect("it is full");
            oldest.await.expect("no task panics").expect("no task fails");
        }
        alive.push_back(tokio::spawn(work::suspended(number)));
    }
    for task in alive {
        task.await.expect("no task panics").expect("no task fails");
    }
}

async fn seats(count: u32) {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for number in 0..u64::from(count) {
            drop(n.reserve().await?.spawn(work::suspended(number)));
        }
        Ok(())
    });
    end.limit(ALIVE).await.expect("no child fails");
}

async fn bare_seats(count: u32) {
    let (tracker, seats) = (TaskTracker::new(), Arc::new(Semaphore::new(ALIVE)));
    for number in 0..u64::from(count) {
        let permit = Arc::clone(&seats).acquire_owned().await.expect("it is never closed");
        drop(tracker.spawn(async move {
            let end = work::suspended(number).await;
            drop(permit);
            end
        }));
    }
    tracker.close();
    tracker.wait().await;
}

async fn set(count: u32) {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        let mut alive = n.join_set();
        for number in 0..u64::from(count) {
            if alive.len() == ALIVE {
                alive.join_next().await.expect("it is full").expect("no child fails");
            }
            alive.spawn(work::suspended(number));
        }
        while let Some(end) = alive.join_next().await {
            end.expect("no child fails");
        }
        Ok(())
    });
    end.await.expect("no child fails");
}

async fn bare_set(count: u32) {
    let mut alive = JoinSet::<work::Output>::new();
    for number in 0..u64::from(count) {
        if alive.len() == ALIVE {
            alive.join_next().await.expect("it is full").expect("no task panics").expect("no task fails");
        }
        alive.spawn(work::suspended(number));
    }
    while let Some(end) = alive.join_next().await {
        end.expect("no task panics").expect("no task fails");
    }
}

//! At most sixteen children at once.
//!
//! "Queued" are children that all exist from the beginning and wait for their turn inside: a limit's queue, or a
//! semaphore's. "Reserved" is who waits for a seat before the child is made, which bounds memory too. Nobody takes a
//! result. With the semaphore every task keeps an `Arc` of it and, while it runs, a permit.

use std::sync::Arc;

use sc_bench::work;
use sc_tokio::{Cancelled, nursery};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::times;
use crate::rounds::{Contest, Contestant, Flavour, Plan};

const SEATS: usize = 16;

pub(super) fn contests(plan: Plan) -> Vec<Contest> {
    let counts: &[u32] = if plan.full { &[1_000, 100_000] } else { &[1_000] };
    let mut contests = Vec::new();
    for flavour in Flavour::BOTH {
        for &count in counts {
            contests.extend([queued(count, flavour), reserved(count, flavour)]);
        }
    }
    contests
}

fn contest(kind: &str, count: u32, flavour: Flavour) -> Contest {
    Contest::new("limit of sixteen", flavour, times(count) * count).kind(kind).n(count)
}

fn queued(count: u32, flavour: Flavour) -> Contest {
    let times = times(count);
    contest("queued", count, flavour)
        .ours(Contestant::repeated("Limit", times, move || limit(count)))
        .peer(Contestant::repeated("Semaphore in tokio::spawn", times, move || semaphore(count)))
        .peer(Contestant::repeated("Semaphore in TaskTracker", times, move || semaphore_tracked(count)))
}

fn reserved(count: u32, flavour: Flavour) -> Contest {
    let times = times(count);
    contest("reserved", count, flavour)
        .ours(Contestant::repeated("Scope::reserve", times, move || reserve(count)))
        .peer(Contestant::repeated("acquire_owned, TaskTracker::spawn", times, move || acquire(count)))
}

async fn limit(count: u32) {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for number in 0..u64::from(count) {
            drop(n.spawn(work::suspended(number)));
        }
        Ok(())
    });
    end.limit(SEATS).await.expect("no child fails");
}

async fn permitted(seats: Arc<Semaphore>, number: u64) -> work::Output {
    let _permit = seats.acquire().await.expect("it is never closed");
    work::suspended(number).await
}

async fn semaphore(count: u32) {
    let seats = Arc::new(Semaphore::new(SEATS));
    let spawn = |number| tokio::spawn(permitted(Arc::clone(&seats), number));
    let tasks: Vec<_> = (0..u64::from(count)).map(spawn).collect();
    for task in tasks {
        task.await.expect("no task panics").expect("no task fails");
    }
}

async fn semaphore_tracked(count: u32) {
    let (tracker, seats) = (TaskTracker::new(), Arc::new(Semaphore::new(SEATS)));
    for number in 0..u64::from(count) {
        drop(tracker.spawn(permitted(Arc::clone(&seats), number)));
    }
    tracker.close();
    tracker.wait().await;
}

async fn reserve(count: u32) {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for number in 0..u64::from(count) {
            drop(n.reserve().await?.spawn(work::suspended(number)));
        }
        Ok(())
    });
    end.limit(SEATS).await.expect("no child fails");
}

async fn acquire(count: u32) {
    let (tracker, seats) = (TaskTracker::new(), Arc::new(Semaphore::new(SEATS)));
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

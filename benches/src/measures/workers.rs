//! Children that spawn siblings: four of them, each a quarter of `n` into the one scope, on two workers in the
//! multi-threaded runtime. Nobody takes a result; what is measured lasts until all have ended.
//!
//! - A bare task awaits the tasks that it has spawned: that is what joins them without a scope.
//! - `TaskTracker` is cloned into the spawners, `JoinSet` is shared behind a lock.

use std::sync::{Arc, Mutex};

use sc_bench::work;
use sc_tokio::{Cancelled, Scope, nursery};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::times;
use crate::rounds::{Contest, Contestant, Flavour, Plan};

const SPAWNERS: u64 = 4;

pub(super) fn contests(plan: Plan) -> Vec<Contest> {
    let counts: &[u32] = if plan.full { &[1_000, 10_000, 100_000, 1_000_000] } else { &[1_000] };
    Flavour::BOTH.into_iter().flat_map(|flavour| counts.iter().map(move |&count| contest(count, flavour))).collect()
}

fn contest(count: u32, flavour: Flavour) -> Contest {
    let times = times(count);
    let each = u64::from(count) / SPAWNERS;
    Contest::new("children of four children", flavour, times * count)
        .kind("suspended once")
        .n(count)
        .ours(Contestant::repeated("siblings in one nursery", times, move || siblings(each)))
        .ours(Contestant::repeated("a nursery in each", times, move || nurseries(each)))
        .peer(Contestant::repeated("tokio::spawn, awaited by its spawner", times, move || bare(each)))
        .peer(Contestant::repeated("TaskTracker", times, move || tracker(each)))
        .peer(Contestant::repeated("JoinSet behind a lock", times, move || locked(each)))
}

async fn siblings(each: u64) {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for _ in 0..SPAWNERS {
            n.spawn_with(async move |n: &Scope<Cancelled>| {
                for number in 0..each {
                    drop(n.spawn(work::suspended(number)));
                }
            });
        }
        Ok(())
    });
    end.await.expect("no child fails");
}

async fn nurseries(each: u64) {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for _ in 0..SPAWNERS {
            n.spawn(async move {
                nursery!(async move |n| -> Result<(), Cancelled> {
                    for number in 0..each {
                        drop(n.spawn(work::suspended(number)));
                    }
                    Ok(())
                })
                .await
            });
        }
        Ok(())
    });
    end.await.expect("no child fails");
}

async fn bare(each: u64) {
    let spawner = move || async move {
        let tasks: Vec<_> = (0..each).map(|number| tokio::spawn(work::suspended(number))).collect();
        for task in tasks {
            task.await.expect("no task panics").expect("no task fails");
        }
    };
    let spawners: Vec<_> = (0..SPAWNERS).map(|_| tokio::spawn(spawner())).collect();
    for spawner in spawners {
        spawner.await.expect("no task panics");
    }
}

async fn tracker(each: u64) {
    let tracker = TaskTracker::new();
    for _ in 0..SPAWNERS {
        let siblings = tracker.clone();
        tracker.spawn(async move {
            for number in 0..each {
                drop(siblings.spawn(work::suspended(number)));
            }
        });
    }
    tracker.close();
    tracker.wait().await;
}

async fn locked(each: u64) {
    let set = Arc::new(Mutex::new(JoinSet::new()));
    let spawner = |set: Arc<Mutex<JoinSet<work::Output>>>| async move {
        for number in 0..each {
            set.lock().expect("nothing panics under this lock").spawn(work::suspended(number));
        }
    };
    let spawners: Vec<_> = (0..SPAWNERS).map(|_| tokio::spawn(spawner(Arc::clone(&set)))).collect();
    for spawner in spawners {
        spawner.await.expect("no task panics");
    }
    let mut set = std::mem::take(&mut *set.lock().expect("nothing panics under this lock"));
    while let Some(end) = set.join_next().await {
        end.expect("no task panics").expect("no task fails");
    }
}

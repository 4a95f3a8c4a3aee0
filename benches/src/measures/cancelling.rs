//! Cancelling and joining `n` parked children, from the call until all of them have ended.
//!
//! - `JoinSet::shutdown` and "aborted one by one" stop the tasks from outside, as the scope does.
//! - Futures of one task have ended when they are dropped.
//! - A dropped `async_nursery` aborts its tasks and nobody is told when they have ended, so that a count has to say so.
//! - With a token every child wakes, sees the cancellation inside its own poll and returns; the tracker waits.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::future::select;
use futures::stream::FuturesUnordered;
use sc_bench::clock::Stopwatch;
use sc_bench::subjects::nursery_of;
use sc_bench::work::Output;
use sc_tokio::{Cancelled, nursery};
use tokio::task::{JoinSet, yield_now};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::rounds::{Contest, Contestant, Flavour, Plan};

const CANCEL: &str = "Scope::cancel";
const SHUTDOWN: &str = "JoinSet::shutdown";

pub(super) fn contests(plan: Plan) -> Vec<Contest> {
    let counts: &[u32] = if plan.full { &[1_000, 10_000, 100_000, 1_000_000] } else { &[1_000, 100_000] };
    Flavour::BOTH.into_iter().flat_map(|flavour| counts.iter().map(move |&count| contest(count, flavour))).collect()
}

fn contest(count: u32, flavour: Flavour) -> Contest {
    let contest = Contest::new("cancel and join", flavour, count).kind("parked").n(count);
    let contest = contest
        .ours(Contestant::new(CANCEL, move || cancel(count)))
        .ours(Contestant::new("scope's future dropped inside a scope", move || abandon(count)))
        .peer(Contestant::new("tokio::spawn, aborted one by one", move || abort(count)))
        .peer(Contestant::new(SHUTDOWN, move || shutdown(count)))
        .peer(Contestant::new("TaskTracker, CancellationToken", move || token(count)))
        .peer(Contestant::new("FuturesUnordered, dropped", move || unordered(count)))
        .peer(Contestant::new("moro, terminate", move || terminate(count)))
        .peer(Contestant::new("async_nursery, dropped and watched", move || watched(count)));
    if count == 100_000 { contest.target(CANCEL, SHUTDOWN, 1.0) } else { contest }
}

pub(super) async fn park(parked: Arc<AtomicU32>) -> Output {
    parked.fetch_add(1, Ordering::Relaxed);
    pending().await
}

/// As `park`, and says when it is dropped.
async fn park_watched(alive: Arc<AtomicU32>) -> Output {
    struct Alive(Arc<AtomicU32>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let alive = Alive(alive);
    alive.0.fetch_add(1, Ordering::Relaxed);
    pending().await
}

pub(super) async fn until_parked(parked: &AtomicU32, count: u32) {
    while parked.load(Ordering::Relaxed) < count {
        yield_now().await;
    }
    // The last one counted before its poll was over.
    for _ in 0..3 {
        yield_now().await;
    }
}

async fn cancel(count: u32) -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let mut started = Stopwatch::start();
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for _ in 0..count {
            drop(n.spawn(park(Arc::clone(&parked))));
        }
        until_parked(&parked, count).await;
        started = Stopwatch::start();
        n.cancel("measured");
        Ok(())
    });
    end.await.expect_err("children were cut short");
    started.elapsed()
}

/// The enclosing scope has to wait for the children of the one that was dropped (P3).
async fn abandon(count: u32) -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let mut started = Stopwatch::start();
    let end = nursery!(async |_outer| -> Result<(), Cancelled> {
        let inner = nursery!(async |n| -> Result<(), Cancelled> {
            for _ in 0..count {
                drop(n.spawn(park(Arc::clone(&parked))));
            }
            pending().await
        });
        tokio::select! {
            biased;
            _ = inner => {}
            () = until_parked(&parked, count) => started = Stopwatch::start(),
        }
        Ok(())
    });
    end.await.expect("the outer scope is not cancelled");
    started.elapsed()
}

async fn abort(count: u32) -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..count).map(|_| tokio::spawn(park(Arc::clone(&parked)))).collect();
    until_parked(&parked, count).await;
    let started = Stopwatch::start();
    for task in &tasks {
        task.abort();
    }
    for task in tasks {
        task.await.expect_err("it was aborted");
    }
    started.elapsed()
}

async fn shutdown(count: u32) -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let mut set = JoinSet::new();
    for _ in 0..count {
        set.spawn(park(Arc::clone(&parked)));
    }
    until_parked(&parked, count).await;
    let started = Stopwatch::start();
    set.shutdown().await;
    started.elapsed()
}

async fn token(count: u32) -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    for _ in 0..count {
        drop(tracker.spawn(token.clone().run_until_cancelled_owned(park(Arc::clone(&parked)))));
    }
    tracker.close();
    until_parked(&parked, count).await;
    let started = Stopwatch::start();
    token.cancel();
    tracker.wait().await;
    started.elapsed()
}

async fn unordered(count: u32) -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let mut set: FuturesUnordered<_> = (0..count).map(|_| park(Arc::clone(&parked))).collect();
    let all = until_parked(&parked, count);
    futures::pin_mut!(all);
    select(set.next(), all).await;
    let started = Stopwatch::start();
    drop(set);
    started.elapsed()
}

async fn terminate(count: u32) -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let started = moro::async_scope!(|scope| -> Stopwatch {
        for _ in 0..count {
            drop(scope.spawn(park(Arc::clone(&parked))));
        }
        until_parked(&parked, count).await;
        scope.terminate(Stopwatch::start()).await
    });
    // Its value is made when the end begins; the children are dropped with the scope.
    started.await.elapsed()
}

async fn watched(count: u32) -> Duration {
    let alive = Arc::new(AtomicU32::new(0));
    let make = || park_watched(Arc::clone(&alive));
    let ends = nursery_of(count, make);
    until_parked(&alive, count).await;
    let started = Stopwatch::start();
    drop(ends);
    while alive.load(Ordering::Relaxed) > 0 {
        yield_now().await;
    }
    started.elapsed()
}

//! Deadlines over many scopes: a thousand tasks, each with a scope or a `tokio::time::timeout` of its own.
//!
//! - "Met": every body is suspended once and done; what is paid is the timer that never fires.
//! - "Passed": the deadline is over when the body suspends; measured until all are told and joined.
//! - "Inherited": one deadline above, a thousand scopes below it that are parked, measured from the moment it passes. With
//!   timeouts every task has to know the instant; a token is cancelled by hand.
//!
//! Tokio's timer counts in milliseconds. Time on the wall has up to one of them in the last two, processor time has not.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use sc_bench::clock::Stopwatch;
use sc_tokio::{Cancelled, nursery};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cancelling::{park, until_parked};
use crate::rounds::{Contest, Contestant, Flavour, Plan};

const SCOPES: u32 = 1_000;
const TIMES: u32 = 10;
const LONG: Duration = Duration::from_secs(3_600);

pub(super) fn contests(_plan: Plan) -> Vec<Contest> {
    Flavour::BOTH.into_iter().flat_map(|flavour| [met(flavour), passed(flavour), inherited(flavour)]).collect()
}

fn contest(kind: &str, flavour: Flavour, times: u32) -> Contest {
    Contest::new("deadlines", flavour, times * SCOPES).kind(kind).n(SCOPES)
}

fn met(flavour: Flavour) -> Contest {
    contest("met", flavour, TIMES)
        .ours(Contestant::repeated("scopes in children", TIMES, scopes_in_time))
        .peer(Contestant::repeated("timeout in tokio::spawn", TIMES, || bare(|| timeout(LONG, yield_now()))))
        .peer(Contestant::repeated("timeout in JoinSet", TIMES, || set(|| timeout(LONG, yield_now()))))
}

fn passed(flavour: Flavour) -> Contest {
    let never = || timeout_at(Instant::now(), pending::<()>());
    contest("passed", flavour, TIMES)
        .ours(Contestant::repeated("scopes in children", TIMES, scopes_too_late))
        .peer(Contestant::repeated("timeout_at in tokio::spawn", TIMES, move || bare(never)))
        .peer(Contestant::repeated("timeout_at in JoinSet", TIMES, move || set(never)))
}

fn inherited(flavour: Flavour) -> Contest {
    contest("inherited", flavour, 1)
        .ours(Contestant::new("one above, scopes in children", one_above))
        .peer(Contestant::new("CancellationToken, TaskTracker", one_token))
}

async fn scopes_in_time() {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        let scope = || async {
            let scope = nursery!(async |_n| -> Result<(), Cancelled> {
                yield_now().await;
                Ok(())
            });
            scope.timeout(LONG).await
        };
        let children: Vec<_> = (0..SCOPES).map(|_| n.spawn(scope())).collect();
        for child in children {
            child.await;
        }
        Ok(())
    });
    end.await.expect("everybody is in time");
}

async fn scopes_too_late() {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        let scope = || async {
            let scope = nursery!(async |_n| -> Result<(), Cancelled> { pending().await });
            scope.deadline(Instant::now()).await.expect_err("it was too late");
        };
        let children: Vec<_> = (0..SCOPES).map(|_| n.spawn(scope())).collect();
        for child in children {
            child.await;
        }
        Ok(())
    });
    end.await.expect("the outer scope has no deadline");
}

async fn bare<F, Fut>(work: F)
where
    F: Fn() -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    let tasks: Vec<_> = (0..SCOPES).map(|_| tokio::spawn(work())).collect();
    for task in tasks {
        task.await.expect("no task panics");
    }
}

async fn set<F, Fut>(work: F)
where
    F: Fn() -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    let mut set = JoinSet::new();
    for _ in 0..SCOPES {
        set.spawn(work());
    }
    while let Some(end) = set.join_next().await {
        end.expect("no task panics");
    }
}

async fn one_above() -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let mut started = Stopwatch::start();
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for _ in 0..SCOPES {
            let parked = Arc::clone(&parked);
            drop(n.spawn(async move {
                nursery!(async move |_n| -> Result<(), Cancelled> { park(parked).await.map(drop) }).await
            }));
        }
        until_parked(&parked, SCOPES).await;
        started = Stopwatch::start();
        n.set_deadline(Instant::now()).expect("it was not over");
        pending().await
    });
    end.await.expect_err("children were cut short");
    started.elapsed()
}

async fn one_token() -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    for _ in 0..SCOPES {
        let below = token.child_token();
        drop(tracker.spawn(below.run_until_cancelled_owned(park(Arc::clone(&parked)))));
    }
    tracker.close();
    until_parked(&parked, SCOPES).await;
    let started = Stopwatch::start();
    token.cancel();
    tracker.wait().await;
    started.elapsed()
}

//! Cancelling and joining many parked children, against `JoinSet::shutdown`.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sc_bench::work::Output;
use sc_tokio::{Cancelled, nursery};
use tokio::task::{JoinSet, yield_now};

use crate::rounds::{Contest, Contestant, Flavour, Pair};

const CHILDREN: u32 = 100_000;

pub(crate) fn contests() -> Vec<Contest> {
    Flavour::BOTH.into_iter().map(contest).collect()
}

fn contest(flavour: Flavour) -> Contest {
    Contest {
        name: format!("cancel and join {CHILDREN} parked"),
        flavour,
        contestants: vec![
            Contestant::new("Scope::cancel", cancel),
            Contestant::new("scope's future dropped inside a scope", abandon),
            Contestant::new("JoinSet::shutdown", shutdown),
        ],
        pairs: vec![Pair { ours: 0, peer: 2, target: Some(1.0) }, Pair { ours: 1, peer: 2, target: None }],
        operations: CHILDREN,
    }
}

async fn park(parked: Arc<AtomicU32>) -> Output {
    parked.fetch_add(1, Ordering::Relaxed);
    pending().await
}

async fn until_parked(parked: &AtomicU32) {
    while parked.load(Ordering::Relaxed) < CHILDREN {
        yield_now().await;
    }
    // The last one counted before its poll was over.
    for _ in 0..3 {
        yield_now().await;
    }
}

async fn cancel() -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let mut started = Instant::now();
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for _ in 0..CHILDREN {
            drop(n.spawn(park(Arc::clone(&parked))));
        }
        until_parked(&parked).await;
        started = Instant::now();
        n.cancel("measured");
        Ok(())
    });
    end.await.expect_err("children were cut short");
    started.elapsed()
}

/// The enclosing scope has to wait for the children of the one that was dropped (P3).
async fn abandon() -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let mut started = Instant::now();
    let end = nursery!(async |_outer| -> Result<(), Cancelled> {
        let inner = nursery!(async |n| -> Result<(), Cancelled> {
            for _ in 0..CHILDREN {
                drop(n.spawn(park(Arc::clone(&parked))));
            }
            pending().await
        });
        tokio::select! {
            biased;
            _ = inner => {}
            () = until_parked(&parked) => started = Instant::now(),
        }
        Ok(())
    });
    end.await.expect("the outer scope is not cancelled");
    started.elapsed()
}

async fn shutdown() -> Duration {
    let parked = Arc::new(AtomicU32::new(0));
    let mut set = JoinSet::new();
    for _ in 0..CHILDREN {
        set.spawn(park(Arc::clone(&parked)));
    }
    until_parked(&parked).await;
    let started = Instant::now();
    set.shutdown().await;
    started.elapsed()
}

//! P11: flat memory, and any depth.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sc_tokio::{Cancelled, nursery};
use tokio::task::yield_now;

use crate::support::{Live, both_flavours};

#[test]
fn nested_scopes_one_after_another_leave_nothing_behind_in_their_frame() {
    both_flavours(|| async {
        let opened = nursery!(async |n| -> Result<usize, Cancelled> {
            let mut opened = 0;
            for _ in 0..50_000 {
                // Two at a time, closed in the order they were opened in.
                let first = nursery!(async |inner| -> Result<(), Cancelled> {
                    inner.spawn(async {});
                    Ok(())
                });
                let second = nursery!(async |_inner| -> Result<(), Cancelled> { Ok(()) });
                let (a, b) = tokio::join!(first, second);
                a.and(b)?;
                opened += 2;
            }
            assert!(n.is_empty());
            Ok(opened)
        })
        .await;
        assert_eq!(opened.unwrap(), 100_000);
    });
}

type Level = Pin<Box<dyn Future<Output = Result<(), Cancelled>> + Send>>;

/// One task a level, each with a nursery around the next.
fn tower(depth: usize, live: Live, built: Arc<AtomicUsize>) -> Level {
    Box::pin(async move {
        let _guard = live.one();
        if depth == 0 {
            built.store(1, Ordering::SeqCst);
            return pending().await;
        }
        nursery!(async move |n| {
            n.spawn(tower(depth - 1, live, built));
            pending().await
        })
        .await
    })
}

#[test]
fn nested_tasks_of_any_depth_are_cancelled_and_torn_down_without_recursion() {
    const DEPTH: usize = 100_000;
    both_flavours(|| async {
        let (live, built) = (Live::new(), Arc::new(AtomicUsize::new(0)));
        let (guards, done) = (live.clone(), Arc::clone(&built));
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn(tower(DEPTH, guards, done));
            while built.load(Ordering::SeqCst) == 0 {
                yield_now().await;
            }
            n.cancel("fell");
            pending().await
        })
        .await;
        assert!(result.is_err());
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn a_runtime_that_ends_tears_a_deep_tower_down_without_recursion() {
    let (live, built) = (Live::new(), Arc::new(AtomicUsize::new(0)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let task = runtime.spawn(tower(100_000, live.clone(), Arc::clone(&built)));
    runtime.block_on(async {
        while built.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
    });
    drop(runtime);
    drop(task);
    assert_eq!(live.count(), 0);
}

#[test]
fn a_hundred_thousand_children_are_joined_and_a_hundred_thousand_parked_ones_cancelled() {
    both_flavours(|| async {
        let live = Live::new();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let handles: Vec<_> = (0..100_000_u64).map(|i| n.spawn(async move { Ok(i) })).collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await;
            }
            assert_eq!(sum, 99_999 * 100_000 / 2);
            for _ in 0..100_000 {
                let guard = live.one();
                n.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
            }
            yield_now().await;
            n.cancel("all");
            pending().await
        })
        .outcome()
        .await;
        assert_eq!(live.count(), 0);
        assert_eq!((outcome.report().succeeded, outcome.report().cancelled), (100_000, 100_000));
    });
}

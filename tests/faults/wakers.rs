//! Wake-ups that get lost: whoever is told something has to be woken again for the next thing.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use sc_tokio::{Cancelled, Reason, nursery};

use crate::support::{Gate, Live, paused, settle, watched};

/// P10: every daemon has its turn, also one that was woken for another's.
#[test]
fn daemons_that_wait_are_stopped_one_after_the_other() {
    paused(|| async {
        let live = Live::default();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            for _ in 0..4 {
                let guard = live.guard();
                let _ = n.task().daemon().spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
            }
            settle().await;
            Ok(())
        })
        .await;
        assert!(result.is_ok());
        assert_eq!(live.count(), 0);
    });
}

/// P9, P1: a child that looked because its sibling was stopped is still woken for the scope's own end.
#[test]
fn a_child_that_was_woken_for_its_sibling_is_woken_again_when_the_scope_is_cancelled() {
    paused(|| async {
        let live = Live::default();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let guard = live.guard();
            let _ = n.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            let sibling = n.spawn(pending::<()>());
            settle().await;
            drop(sibling.cancel());
            settle().await;
            n.cancel("enough");
            pending().await
        })
        .grace(Duration::from_secs(1))
        .await;
        assert_eq!(result.unwrap_err().reason(), Reason::Requested);
        assert_eq!(live.count(), 0);
    });
}

/// The same for a borrowed child, and for `cancel_children`.
#[test]
fn children_that_outlived_one_cancellation_of_all_are_stopped_at_the_next() {
    paused(|| async {
        let live = Live::default();
        let data = 7;
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let first = n.spawn(pending::<()>());
            settle().await;
            n.cancel_children("the first");
            let guards = [live.guard(), live.guard()];
            let [a, b] = guards;
            let _ = n.spawn(async move {
                let _a = a;
                pending::<()>().await;
            });
            let _ = n.spawn_borrowed(async {
                let _b = b;
                let _ = &data;
                pending::<()>().await;
            });
            settle().await;
            assert!(first.join().await.unwrap_err().is_cancelled());
            settle().await;
            n.cancel("enough");
            pending().await
        })
        .grace(Duration::from_secs(1))
        .await;
        assert_eq!(result.unwrap_err().reason(), Reason::Requested);
        assert_eq!(live.count(), 0);
    });
}

/// A runtime whose only blocking thread is busy until the gate opens.
fn with_a_full_pool<F, Fut>(test: F)
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    watched(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(1).build().expect("a runtime");
        let gate = Gate::default();
        let busy = gate.clone();
        runtime.block_on(async {
            let hog = tokio::task::spawn_blocking(move || busy.pass());
            test().await;
            assert!(!gate.is_open());
            gate.open();
            hog.await.expect("the hog ends");
        });
    });
}

/// P1: a closure that waits for a thread is dropped at once when its scope is cancelled.
#[test]
fn a_queued_blocking_child_is_dropped_behind_a_full_pool() {
    with_a_full_pool(|| async {
        let live = Live::default();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let guard = live.guard();
            let _ = n.spawn_blocking(move |_| drop(guard));
            settle().await;
            n.cancel("enough");
            pending().await
        })
        .await;
        assert!(result.is_err());
        assert_eq!(live.count(), 0);
    });
}

/// The same if it was woken before for something that did not concern it.
#[test]
fn a_queued_blocking_child_that_looked_before_is_dropped_behind_a_full_pool() {
    with_a_full_pool(|| async {
        let live = Live::default();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let guard = live.guard();
            let _ = n.spawn_blocking(move |_| drop(guard));
            let sibling = n.spawn(pending::<()>());
            settle().await;
            drop(sibling.cancel());
            settle().await;
            n.cancel("enough");
            pending().await
        })
        .grace(Duration::from_millis(1))
        .await;
        assert!(result.is_err());
        assert_eq!(live.count(), 0);
    });
}

/// And for a queued daemon, which is told first and stopped after its grace.
#[test]
fn a_queued_blocking_daemon_is_dropped_behind_a_full_pool_when_its_turn_comes() {
    with_a_full_pool(|| async {
        let live = Live::default();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            for _ in 0..2 {
                let guard = live.guard();
                let _ = n.task().daemon().spawn_blocking(move |_| drop(guard));
            }
            settle().await;
            Ok(())
        })
        .grace(Duration::from_millis(1))
        .await;
        assert!(result.is_ok());
        assert_eq!(live.count(), 0);
    });
}

/// P10: what a daemon opened does not hold the daemon's scope open.
#[test]
fn a_daemon_inside_a_nursery_of_its_own_is_stopped_when_the_work_is_done() {
    paused(|| async {
        let live = Live::default();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let guards = (live.guard(), live.guard());
            let _ = n.task().daemon().spawn(async move {
                let (outer, inner) = guards;
                let _outer = outer;
                let _: Result<(), Cancelled> = nursery!(async move |n| {
                    let _ = n.spawn(async move {
                        let _inner = inner;
                        pending::<()>().await;
                    });
                    pending().await
                })
                .await;
            });
            settle().await;
            Ok(())
        })
        .await;
        assert!(result.is_ok());
        assert_eq!(live.count(), 0);
    });
}

/// A borrowed child that asks to be polled again at once leaves the thread to others in between.
#[test]
fn a_borrowed_child_that_spins_leaves_the_thread_to_others() {
    watched(|| {
        crate::support::one_thread().block_on(async {
            let flag = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&flag);
            let result: Result<(), Cancelled> = nursery!(async |n| {
                let _ = n.spawn_borrowed(std::future::poll_fn(|cx| {
                    if flag.load(Ordering::SeqCst) {
                        return Poll::Ready(());
                    }
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }));
                let _ = n.spawn(async move { seen.store(true, Ordering::SeqCst) });
                Ok(())
            })
            .await;
            assert!(result.is_ok());
        });
    });
}

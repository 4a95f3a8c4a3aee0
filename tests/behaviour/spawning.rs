//! P7: who may spawn, and what becomes of a child that comes too late.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sc_tokio::{Cancelled, Scope, nursery};
use tokio::task::yield_now;

use crate::support::{Live, both_flavours};

#[test]
fn a_child_of_a_closing_scope_runs() {
    both_flavours(|| async {
        let ran = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&ran);
        nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn_with(async move |n: &Scope<Cancelled>| {
                for _ in 0..5 {
                    yield_now().await; // the body has ended by now
                }
                n.spawn(async move {
                    counter.fetch_add(1, Ordering::SeqCst);
                });
            });
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_child_of_a_draining_scope_is_never_polled_and_its_captures_are_dropped() {
    both_flavours(|| async {
        let live = Live::new();
        let polled = AtomicUsize::new(0);
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("closed for business");
            let guard = live.one();
            let late = n.spawn(async move {
                let _guard = guard;
                unreachable!("refused");
            });
            assert_eq!(live.count(), 0, "dropped by the refusal itself");
            assert!(late.is_finished());
            assert!(late.join().await.err().is_some_and(|failure| failure.is_cancelled()));
            let guard = live.one();
            n.spawn_blocking(move |_| drop(guard));
            let guard = live.one();
            n.spawn_borrowed(async {
                let _guard = guard;
                polled.fetch_add(1, Ordering::SeqCst);
            });
            let guard = live.one();
            n.task().daemon().spawn(async move { drop(guard) });
            assert_eq!(live.count(), 0);
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!((outcome.report().refused, outcome.value()), (4, Some(&())), "{outcome:?}");
        assert_eq!(polled.load(Ordering::SeqCst), 0);
        assert!(!outcome.is_ok(), "work was turned away");
    });
}

#[test]
fn awaiting_a_refused_child_ends_the_frame_and_does_not_hang() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("no more");
            n.spawn(async { Ok(()) }).await;
            unreachable!("a refused child gives no value");
        })
        .grace(Duration::from_secs(3600))
        .await;
        assert!(result.is_err());
    });
}

fn hydra(n: &Scope<Cancelled>, alive: &Arc<AtomicUsize>) {
    for _ in 0..2 {
        let alive = Arc::clone(alive);
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            alive.fetch_add(1, Ordering::SeqCst);
            yield_now().await;
            hydra(n, &alive);
        });
    }
}

#[test]
fn endlessly_respawning_children_cannot_keep_a_cancelled_scope_alive() {
    both_flavours(|| async {
        let spawned = Arc::new(AtomicUsize::new(0));
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            hydra(n, &spawned);
            while spawned.load(Ordering::SeqCst) < 1000 {
                yield_now().await;
            }
            n.cancel("enough heads");
            pending().await
        })
        .await;
        assert!(result.is_err());
    });
}

#[test]
fn spawn_with_children_may_await_their_own_siblings() {
    both_flavours(|| async {
        let sum = nursery!(async |n| -> Result<u32, Cancelled> {
            let tree = n.spawn_with(async |n: &Scope<Cancelled>| {
                let (a, b) = (n.spawn(async { Ok(1) }), n.spawn(async { Ok(2) }));
                Ok::<_, Cancelled>(a.await + b.await)
            });
            Ok(tree.await)
        })
        .await;
        assert_eq!(sum.unwrap(), 3);
    });
}

#[test]
fn a_function_spawns_into_its_callers_scope() {
    fn fan_out(scope: &Scope<anyhow::Error>, results: &Arc<AtomicUsize>) {
        for i in 0..4 {
            let results = Arc::clone(results);
            scope.spawn(async move {
                results.fetch_add(i, Ordering::SeqCst);
            });
        }
    }
    both_flavours(|| async {
        let results = Arc::new(AtomicUsize::new(0));
        nursery!(async |n| {
            fan_out(n, &results);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(results.load(Ordering::SeqCst), 6);
    });
}

#[test]
fn scope_is_the_door_without_macros() {
    both_flavours(|| async {
        let value = tokio::spawn(async {
            sc_tokio::scope(async |s| {
                let child = s.spawn(async { Ok(20) });
                Ok::<_, Cancelled>(child.await + 1)
            })
            .named("plain")
            .await
        });
        assert_eq!(value.await.unwrap().unwrap(), 21);
    });
}

//! P1: when a scope's future resolves, everything in it has ended and is dropped.

use std::future::pending;

use sc_tokio::{Cancelled, Scope, nursery};
use tokio::task::yield_now;

use crate::support::{Live, Log, both_flavours};

#[test]
fn a_body_that_returns_at_once_waits_for_its_children() {
    both_flavours(|| async {
        let log = Log::new();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            for _ in 0..3 {
                let log = log.clone();
                n.spawn(async move {
                    yield_now().await;
                    log.add("child");
                });
            }
            log.add("body");
            Ok(())
        })
        .await;
        result.unwrap();
        log.add("after");
        let entries = log.entries();
        assert_eq!(entries.len(), 5);
        assert_eq!(entries.last().unwrap(), "after");
    });
}

#[test]
fn captures_and_unread_outputs_are_dropped_before_the_scope_resolves() {
    both_flavours(|| async {
        for _ in 0..200 {
            let live = Live::new();
            let (captured, output) = (live.one(), live.clone());
            nursery!(async |n| -> Result<(), Cancelled> {
                n.spawn(async move {
                    let _captured = captured;
                    yield_now().await;
                    Ok(output.one())
                });
                Ok(())
            })
            .await
            .unwrap();
            assert_eq!(live.count(), 0, "P1");
        }
    });
}

#[test]
fn an_output_held_by_an_unawaited_handle_is_dropped_with_the_body() {
    both_flavours(|| async {
        let live = Live::new();
        let output = live.clone();
        nursery!(async |n| -> Result<(), Cancelled> {
            let child = n.spawn(async move { Ok(output.one()) });
            while !child.is_finished() {
                yield_now().await;
            }
            assert_eq!(live.count(), 1);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn children_of_children_are_waited_for() {
    both_flavours(|| async {
        let live = Live::new();
        let guards = live.clone();
        nursery!(async |n| {
            n.spawn_with(async move |n: &Scope<Cancelled>| {
                for _ in 0..10 {
                    let guard = guards.one();
                    n.spawn(async move {
                        let _guard = guard;
                        yield_now().await;
                        yield_now().await;
                    });
                }
            });
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn nothing_is_left_after_an_error_a_panic_or_a_cancellation() {
    both_flavours(|| async {
        for kind in 0..3 {
            let live = Live::new();
            let outcome = nursery!(async |n| -> Result<(), anyhow::Error> {
                for _ in 0..10 {
                    let guard = live.one();
                    n.spawn(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    });
                }
                yield_now().await;
                match kind {
                    0 => anyhow::bail!("the body fails"),
                    1 => panic!("the body panics"),
                    _ => n.cancel("the body has enough"),
                }
                pending().await
            })
            .outcome()
            .await;
            assert!(!outcome.is_ok());
            assert_eq!(live.count(), 0, "P1 has no exceptions (kind {kind})");
        }
    });
}

#[test]
fn handles_may_be_awaited_in_any_order_or_not_at_all() {
    both_flavours(|| async {
        let sum = nursery!(async |n| -> Result<u32, Cancelled> {
            let a = n.spawn(async { Ok(1) });
            let b = n.spawn(async {
                yield_now().await;
                Ok(2)
            });
            let _unread = n.spawn(async { Ok(String::from("unread")) });
            let c = n.spawn(async { Ok(4) });
            Ok(c.await + b.await + a.await)
        })
        .await
        .unwrap();
        assert_eq!(sum, 7);
    });
}

#[test]
fn an_empty_scope_gives_its_value_and_polls_nothing_before_it_is_awaited() {
    both_flavours(|| async {
        let log = Log::new();
        let builder = nursery!(async |_n| -> Result<u8, Cancelled> {
            log.add("ran");
            Ok(1)
        });
        assert!(log.entries().is_empty());
        assert_eq!(builder.await.unwrap(), 1);
        assert_eq!(log.entries(), ["ran"]);
    });
}

#[test]
fn len_counts_the_children_that_live() {
    both_flavours(|| async {
        nursery!(async |n| -> Result<(), Cancelled> {
            assert!(n.is_empty());
            let gate = std::sync::Arc::new(tokio::sync::Notify::new());
            let waiting = std::sync::Arc::clone(&gate);
            let parallel = n.spawn(async move { waiting.notified().await });
            let borrowed = n.spawn_borrowed(async { yield_now().await });
            let daemon = n.task().daemon().spawn(pending::<()>());
            nursery!(async |_inner| -> Result<(), Cancelled> {
                assert_eq!(n.len(), 3, "a nested scope is no child");
                Ok(())
            })
            .await?;
            borrowed.await;
            assert_eq!(n.len(), 2);
            gate.notify_one();
            parallel.await;
            while n.len() > 1 {
                yield_now().await;
            }
            daemon.cancel().await;
            assert_eq!(n.len(), 0);
            Ok(())
        })
        .await
        .unwrap();
    });
}

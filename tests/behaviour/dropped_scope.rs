//! P3: a scope whose future is dropped, forgotten or carried away is kept on the books above.

use std::future::{IntoFuture, pending};
use std::sync::{Arc, Mutex};

use sc_tokio::{Cancelled, Reason, nursery};
use tokio::task::yield_now;

use crate::support::{Live, Log, both_flavours};

/// A scope with two parallel children and a grandchild scope, which never ends by itself.
async fn endless(live: Live, why: Option<tokio::sync::oneshot::Sender<Cancelled>>) -> Result<(), Cancelled> {
    nursery!(async |n| -> Result<(), Cancelled> {
        let (a, b) = (live.one(), live.one());
        n.spawn(async move {
            let _a = a;
            nursery!(async |inner| -> Result<(), Cancelled> {
                inner.spawn(async move {
                    let _b = b;
                    pending::<()>().await;
                });
                pending().await
            })
            .await
        });
        if let Some(why) = why {
            n.spawn_with(async move |n: &sc_tokio::Scope<Cancelled>| {
                let _ = why.send(n.cancelled().await);
            });
        }
        pending().await
    })
    .grace(std::time::Duration::from_millis(1))
    .await
}

#[test]
fn a_scope_dropped_by_select_is_waited_for_by_the_enclosing_one() {
    both_flavours(|| async {
        let live = Live::new();
        let (sender, why) = tokio::sync::oneshot::channel();
        nursery!(async |_n| -> Result<(), Cancelled> {
            let scope = endless(live.clone(), Some(sender));
            tokio::select! {
                _ = scope => unreachable!("it never ends"),
                () = async { for _ in 0..10 { yield_now().await } } => {}
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0, "P3: the enclosing scope waited");
        assert_eq!(why.await.unwrap().reason(), Reason::ScopeDropped);
    });
}

#[test]
fn a_scope_dropped_in_a_child_is_waited_for_too() {
    both_flavours(|| async {
        let live = Live::new();
        let guards = live.clone();
        nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn(async move {
                let mut scope = Box::pin(endless(guards, None));
                for _ in 0..10 {
                    assert!(futures::poll!(scope.as_mut()).is_pending());
                    yield_now().await;
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
fn a_scope_dropped_by_a_timeout_or_an_abort_leaves_nothing() {
    both_flavours(|| async {
        let live = Live::new();
        let task = tokio::task::spawn(endless(live.clone(), None));
        for _ in 0..10 {
            yield_now().await;
        }
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        while live.count() > 0 {
            yield_now().await; // nobody encloses it: the runtime carries it to its end
        }
    });
}

#[test]
fn a_forgotten_scope_is_cancelled_when_the_frame_that_opened_it_ends() {
    both_flavours(|| async {
        let live = Live::new();
        let (sender, why) = tokio::sync::oneshot::channel();
        nursery!(async |_n| -> Result<(), Cancelled> {
            let mut scope = Box::pin(endless(live.clone(), Some(sender)));
            for _ in 0..10 {
                assert!(futures::poll!(scope.as_mut()).is_pending());
                yield_now().await;
            }
            std::mem::forget(scope);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0, "its child tasks have ended; only its future is leaked");
        assert_eq!(why.await.unwrap().reason(), Reason::OpenerEnded);
    });
}

#[test]
fn a_scope_carried_out_of_the_block_is_cancelled_and_its_future_says_so() {
    both_flavours(|| async {
        let live = Live::new();
        let guards = live.clone();
        let mut carried = nursery!(async |_n| {
            let mut scope = Box::pin(endless(guards, None));
            for _ in 0..10 {
                assert!(futures::poll!(scope.as_mut()).is_pending());
                yield_now().await;
            }
            Ok::<_, Cancelled>(scope)
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
        let cancelled = carried.as_mut().await.unwrap_err();
        assert_eq!(cancelled.reason(), Reason::OpenerEnded);
    });
}

#[test]
fn finalizers_of_a_dropped_scope_run_before_the_enclosing_one_resolves() {
    both_flavours(|| async {
        let log = Log::new();
        nursery!(async |_n| -> Result<(), Cancelled> {
            let finalizer = log.clone();
            let mut scope = Box::pin(
                nursery!(async |inner| -> Result<(), Cancelled> {
                    inner.defer(async move |end| {
                        yield_now().await;
                        finalizer.add(format!("{:?}", end.cancelled().unwrap().reason()));
                    });
                    pending().await
                })
                .into_future(),
            );
            assert!(futures::poll!(scope.as_mut()).is_pending());
            drop(scope);
            log.add("body");
            Ok(())
        })
        .await
        .unwrap();
        log.add("resolved");
        assert_eq!(log.entries().last().unwrap(), "resolved");
        assert!(log.entries().contains(&"ScopeDropped".to_owned()), "{:?}", log.entries());
    });
}

#[test]
fn a_scope_polled_elsewhere_keeps_the_parent_it_found_at_its_first_poll() {
    both_flavours(|| async {
        let live = Live::new();
        let slot = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&slot);
        let guards = live.clone();
        let outer = nursery!(async |_n| -> Result<(), Cancelled> {
            let mut scope = Box::pin(endless(guards, None));
            assert!(futures::poll!(scope.as_mut()).is_pending());
            *shared.lock().unwrap() = Some(scope);
            yield_now().await;
            Ok(())
        })
        .await;
        outer.unwrap();
        assert_eq!(live.count(), 0, "cancelled with its opener, and waited for");
        let carried = slot.lock().unwrap().take().unwrap();
        assert!(carried.await.is_err());
    });
}

#[test]
fn a_panic_in_the_caller_leaves_nothing_behind() {
    both_flavours(|| async {
        let live = Live::new();
        let guards = live.clone();
        let outcome = nursery!(async |_n| -> Result<(), Cancelled> {
            let mut scope = Box::pin(endless(guards, None));
            for _ in 0..5 {
                assert!(futures::poll!(scope.as_mut()).is_pending());
                yield_now().await;
            }
            panic!("the caller");
        })
        .outcome()
        .await;
        assert_eq!(outcome.failures()[0].as_panic().unwrap().message(), Some("the caller"));
        assert_eq!(live.count(), 0);
    });
}

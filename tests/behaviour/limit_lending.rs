//! Limits: who runs while a seat is lent, and who lends to whom through scopes and joins that are not limited themselves.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sc_tokio::{Cancelled, Limit, Nursery, Scope, nursery};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::support::both_flavours;

/// Set while somebody is in the middle of work.
#[derive(Clone, Default)]
struct Busy(Arc<AtomicBool>);

impl Busy {
    async fn work(&self) {
        self.0.store(true, Ordering::SeqCst);
        for _ in 0..5 {
            yield_now().await;
        }
        self.0.store(false, Ordering::SeqCst);
    }

    async fn watch(&self) {
        for _ in 0..50 {
            assert!(!self.0.load(Ordering::SeqCst), "both run");
            yield_now().await;
        }
    }
}

#[test]
fn a_lender_does_not_run_while_a_borrowed_child_in_another_task_sits_on_its_seat() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        nursery!(async |n| {
            let limit = limit.clone();
            n.spawn(async move {
                let busy = Busy::default();
                let theirs = busy.clone();
                let below = nursery!(async |n| {
                    n.spawn(async move {
                        nursery!(async |n| {
                            n.spawn_borrowed(theirs.work());
                            Ok::<_, Cancelled>(())
                        })
                        .limit(&limit)
                        .await
                    });
                    Ok::<_, Cancelled>(())
                });
                let (below, ()) = tokio::join!(below.into_future(), busy.watch());
                below
            });
            Ok::<_, Cancelled>(())
        })
        .limit(&limit)
        .await
        .unwrap();
        assert_eq!((limit.available(), limit.queued()), (1, 0));
    });
}

#[test]
fn nor_while_a_child_of_its_parallel_join_does() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        nursery!(async |n| {
            let limit = limit.clone();
            n.spawn(async move {
                let busy = Busy::default();
                let theirs = busy.clone();
                let work = move |_: u32| {
                    let busy = theirs.clone();
                    async move {
                        busy.work().await;
                        Ok::<_, Cancelled>(())
                    }
                };
                let join = sc_tokio::join::map(0..3, work).parallel().limit(&limit);
                let (done, ()) = tokio::join!(join.into_future(), busy.watch());
                done.map(drop)
            });
            Ok::<_, Cancelled>(())
        })
        .limit(&limit)
        .await
        .unwrap();
        assert_eq!((limit.available(), limit.queued()), (1, 0));
    });
}

#[test]
fn nor_while_a_borrowed_child_has_lent_it_on() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        nursery!(async |n| {
            let limit = limit.clone();
            n.spawn(async move {
                let busy = Busy::default();
                let theirs = busy.clone();
                let below = nursery!(async |n| {
                    let inner = &limit;
                    n.spawn_borrowed(async move {
                        nursery!(async move |n| {
                            n.spawn(async move { theirs.work().await });
                            Ok::<_, Cancelled>(())
                        })
                        .limit(inner)
                        .await
                    });
                    Ok::<_, Cancelled>(())
                })
                .limit(&limit);
                let (below, ()) = tokio::join!(below.into_future(), busy.watch());
                below
            });
            Ok::<_, Cancelled>(())
        })
        .limit(&limit)
        .await
        .unwrap();
        assert_eq!((limit.available(), limit.queued()), (1, 0));
    });
}

#[tokio::test(start_paused = true)]
async fn a_borrowed_child_with_a_seat_of_its_own_runs_while_its_task_has_lent() {
    let limit = Limit::new(2);
    let result = nursery!(async |n| {
        let limit = limit.clone();
        n.spawn(async move {
            nursery!(async |n| {
                let (ask, asked) = oneshot::channel();
                let (tell, told) = oneshot::channel();
                n.spawn_borrowed(async move {
                    let _ = asked.await;
                    let _ = tell.send(());
                });
                let queued = n.spawn(async move {
                    let _ = ask.send(());
                    let _ = told.await;
                });
                queued.await;
                Ok::<_, Cancelled>(())
            })
            .limit(&limit)
            .await
        });
        Ok::<_, Cancelled>(())
    })
    .limit(&limit)
    .timeout(Duration::from_secs(1))
    .await;
    result.unwrap();
    assert_eq!((limit.available(), limit.queued()), (2, 0));
}

#[test]
fn a_borrowed_child_that_nobody_awaits_is_lent_a_seat_once_the_body_has_ended() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        nursery!(async |n| {
            let limit = limit.clone();
            n.spawn(async move {
                nursery!(async |n| {
                    n.spawn_borrowed(yield_now());
                    Ok::<_, Cancelled>(())
                })
                .limit(&limit)
                .await
            });
            Ok::<_, Cancelled>(())
        })
        .limit(&limit)
        .await
        .unwrap();
        assert_eq!((limit.available(), limit.queued()), (1, 0));
    });
}

/// Opens a scope under the limit and waits for a child of it.
async fn below(limit: Limit) -> Result<u32, Cancelled> {
    nursery!(async |n| Ok::<_, Cancelled>(n.spawn(async { Ok(1) }).await)).limit(&limit).await
}

#[test]
fn a_child_that_awaits_a_child_of_an_unlimited_scope_lends_its_seat_to_whom_that_waits_for() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        let sum = nursery!(async |n| {
            let limit = limit.clone();
            let outer = n.spawn(async move {
                nursery!(async |n| {
                    let (a, b) = (limit.clone(), limit.clone());
                    let awaited = n.spawn(below(a)).await;
                    let mut set = n.join_set();
                    set.spawn(below(b));
                    let joined = set.join_next().await.unwrap().unwrap();
                    Ok::<_, Cancelled>(awaited + joined)
                })
                .await
            });
            Ok::<_, Cancelled>(outer.await)
        })
        .limit(&limit)
        .await;
        assert_eq!(sum.unwrap(), 2);
        assert_eq!((limit.available(), limit.queued()), (1, 0));
    });
}

#[test]
fn also_when_it_awaits_a_parallel_join() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        let result = nursery!(async |n| {
            let limit = limit.clone();
            let outer = n.spawn(async move { sc_tokio::join::map(0..3, |_| below(limit.clone())).parallel().await });
            Ok::<_, Cancelled>(outer.await)
        })
        .limit(&limit)
        .await;
        assert_eq!(result.unwrap(), [1, 1, 1]);
        assert_eq!((limit.available(), limit.queued()), (1, 0));
    });
}

/// The set of borrowed children was woken while its task might not run, and passes on no other wake-up before it is polled.
#[tokio::test(start_paused = true)]
async fn a_lender_goes_on_with_a_borrower_that_was_woken_before_it_had_its_seat_back() {
    let limit = Limit::new(1);
    nursery!(async |n| {
        let limit = limit.clone();
        n.spawn(async move {
            nursery!(async |n| {
                let limit = &limit;
                n.spawn_borrowed(async move {
                    let slow = nursery!(async |n| {
                        n.spawn_blocking(|_| ());
                        n.spawn(tokio::time::sleep(Duration::from_secs(2)));
                        n.spawn(yield_now());
                        Ok::<_, Cancelled>(())
                    });
                    let slow = slow.limit(limit).into_future();
                    let (slow, ()) = tokio::join!(slow, tokio::time::sleep(Duration::from_secs(1)));
                    slow
                });
                Ok::<_, Cancelled>(())
            })
            .limit(&limit)
            .await
        });
        Ok::<_, Cancelled>(())
    })
    .limit(&limit)
    .timeout(Duration::from_secs(60))
    .await
    .unwrap();
    assert_eq!((limit.available(), limit.queued()), (1, 0));
}

fn chain(n: &Scope<Cancelled>, left: u32, bottom: oneshot::Sender<()>) -> sc_tokio::Child<'_, (), Cancelled> {
    n.spawn_with(async move |n: &Scope<Cancelled>| {
        if left > 0 {
            chain(n, left - 1, bottom).await;
        } else {
            let _ = bottom.send(());
            n.cancelled().await;
        }
    })
}

#[test]
fn a_long_chain_of_lenders_that_are_told_to_stop_goes_on_one_by_one() {
    both_flavours(|| async {
        for grace in [Duration::ZERO, Duration::from_secs(3600)] {
            let limit = Limit::new(1);
            let outcome = nursery!(async |n: &Nursery<'_, Cancelled>| {
                let (send, bottom) = oneshot::channel();
                chain(n, 3_000, send);
                bottom.await.unwrap();
                n.cancel("enough");
                Ok(())
            })
            .limit(&limit)
            .grace(grace)
            .outcome()
            .await;
            let report = outcome.report();
            assert_eq!((report.spawned, report.succeeded + report.cancelled), (3_001, 3_001));
            assert_eq!((limit.available(), limit.queued()), (1, 0));
        }
    });
}

#[test]
fn a_scope_can_be_printed_while_it_is_open() {
    both_flavours(|| async {
        let text = nursery!(async |n| Ok::<_, Cancelled>(format!("{n:?}"))).await.unwrap();
        assert!(text.contains("phase: Open"), "{text}");
    });
}

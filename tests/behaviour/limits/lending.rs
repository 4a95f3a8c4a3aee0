//! A child that awaits a queued one lends it its seat.

use std::future::pending;
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use sc_tokio::{Cancelled, Limit, Scope, nursery};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::Gauge;
use crate::support::{Live, Log, both_flavours};

#[test]
fn a_child_that_awaits_a_queued_sibling_lends_it_its_seat() {
    both_flavours(|| async {
        let result = nursery!(async |n| {
            let parent = n.spawn_with(async |n: &Scope<Cancelled>| {
                let queued = n.spawn(async { Ok(1) });
                Ok(queued.await + 1)
            });
            Ok::<_, Cancelled>(parent.await)
        })
        .limit(1)
        .await;
        assert_eq!(result.unwrap(), 2);
    });
}

fn depth(n: &Scope<Cancelled>, levels: u32) -> sc_tokio::Child<'_, u32, Cancelled> {
    n.spawn_with(async move |n: &Scope<Cancelled>| {
        yield_now().await;
        if levels == 0 { Ok(0) } else { Ok(Box::pin(depth(n, levels - 1)).await + 1) }
    })
}

#[test]
fn a_borrowed_seat_can_be_lent_on() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        let levels = nursery!(async |n| Ok::<_, Cancelled>(depth(n, 50).await)).limit(&limit).await;
        assert_eq!(levels.unwrap(), 50);
        assert_eq!((limit.available(), limit.queued()), (1, 0));
    });
}

#[test]
fn a_seat_is_lent_to_one_at_a_time_and_the_limit_is_never_exceeded() {
    both_flavours(|| async {
        for seats in 1..4 {
            let gauge = Gauge::default();
            nursery!(async |n| {
                for set in [false, true] {
                    let gauge = gauge.clone();
                    n.spawn_with(async move |n: &Scope<Cancelled>| {
                        let own = gauge.enter();
                        let work = |i: u32| {
                            let gauge = gauge.clone();
                            n.spawn(async move {
                                let _running = gauge.enter();
                                yield_now().await;
                                Ok(i)
                            })
                        };
                        let children: Vec<_> = (0..10).map(work).collect();
                        drop(own);
                        let sum: u32 = if set {
                            children.into_iter().collect::<FuturesUnordered<_>>().fold(0, async |a, b| a + b).await
                        } else {
                            join_all(children).await.into_iter().sum()
                        };
                        let _own = gauge.enter();
                        assert_eq!(sum, 45);
                        Ok(())
                    });
                }
                Ok::<_, Cancelled>(())
            })
            .limit(seats)
            .await
            .unwrap();
            assert!(gauge.most() <= seats, "{} at once under {seats}", gauge.most());
        }
    });
}

#[test]
fn a_child_that_joins_a_nested_scope_under_the_same_limit_lends_its_seat() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        let inner = limit.clone();
        let result = nursery!(async |n| {
            let parent = n.spawn(async move {
                nursery!(async |n| {
                    for _ in 0..5 {
                        n.spawn(yield_now());
                    }
                    Ok::<_, Cancelled>(7)
                })
                .limit(inner)
                .await
            });
            Ok::<_, Cancelled>(parent.await)
        })
        .limit(&limit)
        .await;
        assert_eq!(result.unwrap(), 7);
        assert_eq!(limit.available(), 1);
    });
}

#[test]
fn also_when_the_limited_scope_is_further_down() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        let inner = limit.clone();
        nursery!(async |n| {
            n.spawn(async move {
                // A scope without a limit, whose child opens one with it.
                nursery!(async |n| {
                    n.spawn(async move {
                        nursery!(async |n| {
                            n.spawn(yield_now());
                            Ok::<_, Cancelled>(())
                        })
                        .limit(inner)
                        .await
                    });
                    Ok::<_, Cancelled>(())
                })
                .await
            });
            Ok::<_, Cancelled>(())
        })
        .limit(&limit)
        .await
        .unwrap();
        assert_eq!(limit.available(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_lender_goes_on_when_it_has_a_seat_again_and_not_before() {
    let log = Log::new();
    let note = log.clone();
    nursery!(async |n| {
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            let started = tokio::time::Instant::now();
            let inner = note.clone();
            let queued = n.spawn(async move {
                tokio::time::sleep(Duration::from_secs(10)).await;
                inner.add("child done");
                Ok(1)
            });
            let result = tokio::time::timeout(Duration::from_secs(1), queued).await;
            note.add(format!("lender at {:?}, {}", started.elapsed(), result.is_ok()));
        });
        Ok::<_, Cancelled>(())
    })
    .limit(1)
    .await
    .unwrap();
    assert_eq!(log.entries(), ["child done", "lender at 10s, true"]);
}

#[tokio::test(start_paused = true)]
async fn a_lender_that_is_woken_takes_the_next_free_seat() {
    let limit = Limit::new(2);
    let log = Log::new();
    let note = log.clone();
    nursery!(async |n| {
        n.spawn(tokio::time::sleep(Duration::from_secs(2)));
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            let queued = n.spawn(tokio::time::sleep(Duration::from_secs(10)));
            let started = tokio::time::Instant::now();
            // Times out at one second, and may go on at two, when the other seat comes free.
            let late = tokio::time::timeout(Duration::from_secs(1), queued).await;
            note.add(format!("{:?} {}", started.elapsed(), late.is_err()));
        });
        Ok::<_, Cancelled>(())
    })
    .limit(&limit)
    .await
    .unwrap();
    assert_eq!(log.entries(), ["2s true"]);
    assert_eq!((limit.available(), limit.queued()), (2, 0));
}

#[test]
fn a_lender_that_is_cancelled_leaves_its_seat_to_the_borrower() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        nursery!(async |n| {
            let (send, tell) = oneshot::channel();
            let (open, gate) = oneshot::channel::<()>();
            let lender = n.spawn_with(async move |n: &Scope<Cancelled>| {
                let queued = n.spawn(async move {
                    send.send(()).unwrap();
                    let _ = gate.await;
                });
                queued.await;
            });
            tell.await.unwrap();
            lender.cancel().await;
            assert_eq!(limit.available(), 0, "the borrower sits there");
            open.send(()).unwrap();
            Ok::<_, Cancelled>(())
        })
        .limit(&limit)
        .await
        .unwrap();
        assert_eq!((limit.available(), limit.queued()), (1, 0));
    });
}

#[test]
fn borrowed_children_lend_too() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        let inner = limit.clone();
        let result = nursery!(async |n| {
            let outer = n.spawn_borrowed(async {
                nursery!(async |n| {
                    let queued = n.spawn(async { Ok(4) });
                    Ok::<_, Cancelled>(queued.await)
                })
                .limit(&inner)
                .await
            });
            Ok::<_, Cancelled>(outer.await)
        })
        .limit(&limit)
        .await;
        assert_eq!(result.unwrap(), 4);
    });
}

#[test]
fn a_borrowed_child_is_lent_a_seat_by_the_task_it_runs_in() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        let (inner, gauge) = (limit.clone(), Gauge::default());
        let result = nursery!(async |n| {
            let outer = n.spawn(async move {
                nursery!(async |n| {
                    let parts: Vec<_> = (0..5)
                        .map(|i| {
                            let running = gauge.clone();
                            n.spawn_borrowed(async move {
                                let _running = running.enter();
                                yield_now().await;
                                Ok::<u32, Cancelled>(i)
                            })
                        })
                        .collect();
                    let sum: u32 = join_all(parts).await.into_iter().sum();
                    assert_eq!(gauge.most(), 1);
                    Ok::<_, Cancelled>(sum)
                })
                .limit(&inner)
                .await
            });
            Ok::<_, Cancelled>(outer.await)
        })
        .limit(&limit)
        .await;
        assert_eq!(result.unwrap(), 10);
        assert_eq!((limit.available(), limit.queued()), (1, 0));
    });
}

#[test]
fn a_join_under_the_limit_of_the_child_that_awaits_it_borrows_its_seat() {
    both_flavours(|| async {
        for parallel in [false, true] {
            let limit = Limit::new(1);
            let inner = limit.clone();
            let result = nursery!(async |n| {
                let outer = n.spawn(async move {
                    let double = |i: u32| async move {
                        yield_now().await;
                        Ok::<_, Cancelled>(2 * i)
                    };
                    let join = sc_tokio::join::map(0..5, double).limit(&inner);
                    if parallel { join.parallel().await } else { join.await }
                });
                Ok::<_, Cancelled>(outer.await)
            })
            .limit(&limit)
            .await;
            assert_eq!(result.unwrap(), [0, 2, 4, 6, 8]);
            assert_eq!((limit.available(), limit.queued()), (1, 0));
        }
    });
}

#[test]
fn the_body_has_no_seat_and_just_waits() {
    both_flavours(|| async {
        let gauge = Gauge::default();
        let sum = nursery!(async |n| {
            let children: Vec<_> = (0..20)
                .map(|i| {
                    let gauge = gauge.clone();
                    n.spawn(async move {
                        let _running = gauge.enter();
                        yield_now().await;
                        Ok(i)
                    })
                })
                .collect();
            Ok::<u32, Cancelled>(join_all(children).await.into_iter().sum())
        })
        .limit(2)
        .await;
        assert_eq!(sum.unwrap(), 190);
        assert_eq!(gauge.most(), 2);
    });
}

#[tokio::test]
async fn a_queued_child_of_a_dropped_scope_never_starts() {
    let limit = Limit::new(1);
    let live = Live::new();
    nursery!(async |_n| {
        let inner = nursery!(async |n| {
            n.spawn(pending::<()>());
            let alive = live.one();
            n.spawn(async move {
                drop(alive);
                panic!("must not start");
            });
            pending::<Result<(), Cancelled>>().await
        })
        .limit(&limit);
        let mut inner = Box::pin(std::future::IntoFuture::into_future(inner));
        assert!(futures::poll!(&mut inner).is_pending());
        drop(inner);
        Ok::<_, Cancelled>(())
    })
    .await
    .unwrap();
    assert_eq!(live.count(), 0);
    assert_eq!((limit.available(), limit.queued()), (1, 0));
}

//! Limits: never more children than seats, a fair queue, and no deadlock among children that wait for each other.

use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, Limit, Nursery, Reason, Scope, Supervise, TryReserveError, nursery};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::support::{Live, Log, Watchdog, both_flavours};

mod lending;

/// Counts who runs, and how many at most did.
#[derive(Clone, Default)]
struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

struct Running(Gauge);

impl Gauge {
    fn enter(&self) -> Running {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        Running(self.clone())
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn never_more_children_run_than_the_limit_has_seats() {
    both_flavours(|| async {
        let gauge = Gauge::default();
        let done = Arc::new(AtomicUsize::new(0));
        nursery!(async |n| {
            for _ in 0..200 {
                let (gauge, done) = (gauge.clone(), Arc::clone(&done));
                n.spawn(async move {
                    let _running = gauge.enter();
                    for _ in 0..3 {
                        yield_now().await;
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
            Ok::<_, Cancelled>(())
        })
        .limit(7)
        .await
        .unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 200);
        assert_eq!(gauge.most(), 7, "and all seats were used");
    });
}

#[test]
fn every_kind_of_ordinary_child_takes_a_seat() {
    both_flavours(|| async {
        let gauge = Gauge::default();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            for _ in 0..10 {
                let (a, b, c) = (gauge.clone(), gauge.clone(), gauge.clone());
                n.spawn(async move {
                    let _running = a.enter();
                    yield_now().await;
                });
                n.spawn_borrowed(async {
                    let _running = gauge.enter();
                    yield_now().await;
                });
                n.spawn_blocking(move |_| {
                    let _running = b.enter();
                    std::thread::yield_now();
                });
                n.spawn_with(async move |_: &Scope<Cancelled>| {
                    let _running = c.enter();
                    yield_now().await;
                });
            }
            Ok(())
        })
        .limit(3)
        .await;
        result.unwrap();
        assert!(gauge.most() <= 3, "{} ran at once", gauge.most());
    });
}

#[tokio::test]
async fn daemons_and_ambient_tasks_take_no_seat() {
    let result = nursery!(async |n| {
        n.task().daemon().spawn(pending::<()>());
        let ambient = sc_tokio::spawn(async { 1 });
        assert_eq!(ambient.await.unwrap(), 1);
        Ok::<_, Cancelled>(n.spawn(async { Ok(2) }).await)
    })
    .limit(1)
    .await;
    assert_eq!(result.unwrap(), 2);
}

#[tokio::test]
async fn the_queue_is_served_in_the_order_of_arrival() {
    let all = Log::new();
    let log = all.clone();
    nursery!(async |n| {
        for i in 0..5 {
            let log = all.clone();
            n.spawn(async move {
                log.add(format!("child {i}"));
                yield_now().await;
            });
            if i == 2 {
                n.spawn_borrowed(async { all.add("borrowed") });
            }
        }
        let permit = n.reserve().await?;
        log.add("permit");
        drop(permit);
        Ok::<_, Cancelled>(())
    })
    .limit(1)
    .await
    .unwrap();
    assert_eq!(log.entries(), ["child 0", "child 1", "child 2", "borrowed", "child 3", "child 4", "permit"]);
}

#[test]
fn a_queued_child_never_starts_once_its_scope_is_cancelled() {
    both_flavours(|| async {
        for grace in [Duration::ZERO, Duration::from_secs(3600)] {
            let (started, live) = (Arc::new(AtomicUsize::new(0)), Live::new());
            let outcome = nursery!(async |n: &Nursery<'_, Cancelled>| {
                let token = n.token();
                let (running, runs) = oneshot::channel();
                n.spawn(async move {
                    running.send(()).unwrap();
                    token.cancelled().await;
                });
                for _ in 0..10 {
                    let (starts, alive) = (Arc::clone(&started), live.one());
                    n.spawn(async move {
                        starts.fetch_add(1, Ordering::SeqCst);
                        drop(alive);
                    });
                    let (starts, alive) = (Arc::clone(&started), live.one());
                    n.spawn_blocking(move |_| {
                        starts.fetch_add(1, Ordering::SeqCst);
                        drop(alive);
                    });
                }
                runs.await.unwrap();
                n.cancel("stop");
                Ok(())
            })
            .grace(grace)
            .limit(1)
            .outcome()
            .await;
            assert_eq!(started.load(Ordering::SeqCst), 0);
            assert_eq!(live.count(), 0);
            assert_eq!(outcome.report().spawned, 21);
            assert!(outcome.report().cancelled >= 20, "{}", outcome.report());
        }
    });
}

#[test]
fn the_handle_of_a_queued_child_that_was_cancelled_says_so() {
    both_flavours(|| async {
        let result = nursery!(async |n| {
            let first = n.spawn(pending::<()>());
            let queued = n.spawn(async { Ok(1) });
            assert!(!queued.is_finished());
            n.cancel_children("all of you");
            let failure = queued.join().await.unwrap_err();
            assert_eq!(failure.as_cancelled().unwrap().reason(), Reason::Requested);
            assert!(matches!(first.join().await, Err(Failure::Cancelled(_))));
            Ok::<_, Cancelled>(n.spawn(async { Ok(2) }).await)
        })
        .limit(1)
        .await;
        assert_eq!(result.unwrap(), 2, "and the seats are free again");
    });
}

#[test]
fn a_child_gives_its_seat_back_however_it_ends() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        let outcome = nursery!(async |n: &Nursery<'_, std::io::Error>| {
            n.spawn(async { Err::<(), _>(std::io::Error::other("error")) });
            n.spawn(async { panic!("boom") });
            n.spawn_blocking(|_| panic!("boom"));
            let stopped = n.spawn(pending::<()>());
            let last = n.spawn(async { Ok(3) });
            stopped.cancel().await;
            Ok(last.await)
        })
        .policy(Supervise)
        .limit(&limit)
        .outcome()
        .await;
        assert_eq!(outcome.value(), Some(&3));
        assert_eq!(outcome.failures().len(), 3);
        assert_eq!((limit.available(), limit.queued()), (1, 0));
    });
}

#[test]
fn a_limit_is_shared_between_scopes() {
    both_flavours(|| async {
        let (limit, gauge) = (Limit::new(3), Gauge::default());
        nursery!(async |n| {
            for _ in 0..4 {
                let (limit, gauge) = (limit.clone(), gauge.clone());
                n.spawn(async move {
                    nursery!(async |n| {
                        for _ in 0..20 {
                            let gauge = gauge.clone();
                            n.spawn(async move {
                                let _running = gauge.enter();
                                yield_now().await;
                            });
                        }
                        Ok::<_, Cancelled>(())
                    })
                    .limit(limit)
                    .await
                });
            }
            Ok::<_, Cancelled>(())
        })
        .await
        .unwrap();
        assert!(gauge.most() <= 3, "{}", gauge.most());
        assert_eq!(limit.available(), 3);
    });
}

// Reservations.

#[test]
fn a_million_children_through_reserve_keep_memory_flat() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (live, most) = (Live::new(), AtomicUsize::new(0));
        let limit = Limit::new(100);
        let outcome = nursery!(async |n: &Nursery<'_, Cancelled>| {
            for _ in 0..1_000_000_u32 {
                let permit = n.reserve().await?;
                let alive = live.one();
                most.fetch_max(live.count(), Ordering::Relaxed);
                permit.spawn(async move { drop(alive) });
            }
            Ok(())
        })
        .limit(&limit)
        .outcome()
        .await;
        assert_eq!(outcome.report().succeeded, 1_000_000);
        assert!(most.load(Ordering::Relaxed) <= 100, "{} lived at once", most.load(Ordering::Relaxed));
        assert_eq!((limit.available(), limit.queued()), (100, 0));
    });
}

#[tokio::test]
async fn a_permit_that_is_dropped_gives_its_seat_back() {
    let limit = Limit::new(1);
    nursery!(async |n| {
        let permit = n.reserve().await?;
        assert_eq!(limit.available(), 0);
        assert!(matches!(n.try_reserve(), Err(TryReserveError::Full)));
        drop(permit);
        assert!(n.try_reserve().is_ok());
        Ok::<_, Cancelled>(())
    })
    .limit(&limit)
    .await
    .unwrap();
    assert_eq!(limit.available(), 1);
}

#[tokio::test]
async fn without_a_limit_a_permit_is_there_at_once() {
    let sum = nursery!(async |n| {
        assert!(n.limit().is_none());
        let a = n.reserve().await?.spawn(async { Ok(1) });
        let b = n.try_reserve().unwrap().task().name("b").spawn(async { Ok(2) });
        Ok::<_, Cancelled>(a.await + b.await)
    })
    .await;
    assert_eq!(sum.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_seat_can_be_given_up_and_loses_nothing() {
    let limit = Limit::new(1);
    nursery!(async |n| {
        let gate = n.spawn(async {
            tokio::time::sleep(Duration::from_secs(10)).await;
        });
        let late = tokio::time::timeout(Duration::from_secs(1), n.reserve()).await;
        assert!(late.is_err());
        assert_eq!(limit.queued(), 0, "the place in the queue is given up");
        let (behind, ahead) = (n.reserve(), n.reserve());
        let mut ahead = Box::pin(ahead);
        assert!(futures::poll!(&mut ahead).is_pending());
        let mut behind = Box::pin(behind);
        assert!(futures::poll!(&mut behind).is_pending());
        gate.await;
        // Seated, and dropped without having looked: the next one gets the seat.
        drop(ahead);
        drop(behind.await?);
        Ok::<_, Cancelled>(())
    })
    .limit(&limit)
    .await
    .unwrap();
    assert_eq!(limit.available(), 1);
}

#[test]
fn a_reservation_ends_when_the_scope_is_cancelled() {
    both_flavours(|| async {
        let log = Log::new();
        let note = log.clone();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            n.spawn(pending::<()>());
            // Waits for the only seat; its grace lets it see the end of that.
            n.task().daemon().grace(Duration::from_secs(60)).spawn_with(async move |n: &Scope<Cancelled>| {
                let refused = n.reserve().await.unwrap_err();
                note.add(format!("waiting: {}", refused.reason()));
                let refused = n.try_reserve().unwrap_err();
                note.add(format!("at once: {}", matches!(refused, TryReserveError::Cancelled(_))));
            });
            while n.limit().unwrap().queued() == 0 {
                yield_now().await;
            }
            n.cancel("stop");
            pending().await
        })
        .limit(1)
        .await;
        assert_eq!(result.unwrap_err().reason(), Reason::Requested);
        assert_eq!(log.entries(), ["waiting: cancellation requested", "at once: true"]);
    });
}

#[tokio::test]
async fn a_permit_of_a_scope_that_was_cancelled_spawns_nothing() {
    let limit = Limit::new(1);
    let outcome = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let permit = n.reserve().await?;
        n.cancel("stop");
        let child = permit.spawn(async { panic!("must not run") });
        assert!(child.id().is_none());
        Ok(())
    })
    .limit(&limit)
    .outcome()
    .await;
    assert_eq!((outcome.report().refused, outcome.value()), (1, Some(&())), "{outcome:?}");
    assert_eq!(limit.available(), 1);
}

// Bad input.

#[test]
fn a_limit_of_zero_is_refused_with_the_fix() {
    let error = Limit::try_new(0).unwrap_err().to_string();
    assert!(error.contains("give at least one"), "{error}");
    let panic = std::panic::catch_unwind(|| Limit::new(0)).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("give at least one"));
    assert!(std::panic::catch_unwind(|| nursery!(async |_n| Ok::<_, Cancelled>(())).limit(0)).is_err());
    assert!(std::panic::catch_unwind(|| Limit::new(1).resize(0)).is_err());
    assert_eq!(Limit::from(NonZeroUsize::MIN).size(), 1);
    assert_eq!(Limit::new(usize::MAX).available(), usize::MAX);
}

#[tokio::test]
async fn a_limit_can_be_resized_while_it_is_used() {
    let limit = Limit::new(1);
    nursery!(async |n| {
        let (open, gate) = tokio::sync::watch::channel(false);
        for _ in 0..6 {
            let mut gate = gate.clone();
            n.spawn(async move {
                let _ = gate.wait_for(|open| *open).await;
            });
        }
        yield_now().await;
        assert_eq!((limit.available(), limit.queued()), (0, 5));
        limit.resize(4);
        assert_eq!((limit.available(), limit.queued()), (0, 2));
        limit.resize(2);
        assert_eq!((limit.size(), limit.available(), limit.queued()), (2, 0, 2), "nobody is stopped");
        open.send(true).unwrap();
        Ok::<_, Cancelled>(())
    })
    .limit(&limit)
    .await
    .unwrap();
    assert_eq!((limit.available(), limit.queued()), (2, 0));
}

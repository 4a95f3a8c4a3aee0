//! A start that does not come to its end: cancelled, dropped, or in a race with either.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, OutcomeKind, Ready, Reason, Scope, StartError, nursery};
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{Live, Log, Watchdog, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

/// An error that no scope makes.
#[derive(Debug, PartialEq, Eq)]
struct PortTaken(u16);

/// A daemon is still there when the ordinary child that it starts is cancelled: it can say what the call gave.
fn watch(n: &Scope<Cancelled>, log: &Log) {
    let log = log.clone();
    n.task().daemon().spawn_with(async move |n: &Scope<Cancelled>| -> Result<(), Cancelled> {
        let started = n.start(async |_: Ready<()>| pending::<Result<(), Cancelled>>().await);
        let Err(StartError::Cancelled(cancelled)) = started.await else { unreachable!() };
        log.add(format!("{:?}, inherited: {}", cancelled.reason(), cancelled.is_inherited()));
        Ok(())
    });
}

#[tokio::test(start_paused = true)]
async fn a_start_reports_the_cancellation_of_its_scope() {
    let log = Log::new();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        watch(n, &log);
        yield_now().await;
        n.cancel("enough");
        pending().await
    })
    .grace(SECOND) // for the daemon to say it in
    .await;
    assert!(result.is_err());
    assert_eq!(log.entries(), ["Requested, inherited: false"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_reports_the_cancellation_of_an_ancestor() {
    let log = Log::new();
    let result = nursery!(async |_outer| -> Result<(), Cancelled> {
        nursery!(async |n| -> Result<(), Cancelled> {
            watch(n, &log);
            pending().await
        })
        .grace(SECOND) // for the daemon to say it in
        .await
    })
    .timeout(SECOND)
    .await;
    assert!(result.is_err());
    assert_eq!(log.entries(), ["Deadline, inherited: true"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_reports_that_its_child_was_stopped() {
    nursery!(async |n| -> Result<(), Cancelled> {
        let started = n.start(async |_: Ready<()>| pending::<Result<(), Cancelled>>().await);
        n.cancel_children("only them");
        let Err(StartError::Cancelled(cancelled)) = started.await else { unreachable!() };
        assert!(cancelled.to_string().contains("only them"));
        Ok(())
    })
    .await
    .expect("stopped from inside (P5)");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_leaves_in_its_grace_reports_the_cancellation_it_saw() {
    let log = Log::new();
    let outcome = nursery!(async |outer| -> Result<(), Cancelled> {
        let stop = outer.canceller();
        let seen = log.clone();
        nursery!(async |n| -> Result<(), Cancelled> {
            let tidy = async move |n: &Scope<Cancelled>, _ready: Ready<()>| -> Result<(), Cancelled> {
                Err(n.cancelled().await)
            };
            let started = n.start_with(tidy);
            stop.cancel("from above");
            let Err(StartError::Error(cancelled)) = started.await else { unreachable!() };
            seen.add(format!("{} {}", cancelled.reason() == Reason::Requested, cancelled.is_inherited()));
            Err(cancelled)
        })
        .await
    })
    .grace(SECOND)
    .outcome()
    .await;
    assert_eq!(log.entries(), ["true true"]);
    assert_eq!(outcome.kind(), OutcomeKind::Cancelled);
}

#[test]
fn dropping_the_call_stops_the_child_and_is_no_failure() {
    both_flavours(|| async {
        for polled in [false, true] {
            let log = Log::new();
            let guard = log.on_drop("child");
            let outcome = nursery!(async |n| -> Result<(), Cancelled> {
                let mut started = Box::pin(n.start(async move |_ready: Ready<()>| -> Result<(), Cancelled> {
                    let _guard = guard;
                    pending().await
                }));
                if polled {
                    assert!(futures::poll!(started.as_mut()).is_pending());
                }
                drop(started);
                Ok(())
            })
            .outcome()
            .await;
            log.add("scope");
            assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome:?}");
            assert_eq!(log.entries(), ["child", "scope"]);
        }
    });
}

#[tokio::test(start_paused = true)]
async fn dropping_the_call_gives_the_child_its_grace_and_what_fails_in_it_is_kept() {
    let begin = Instant::now();
    let outcome = nursery!(async |n| -> Result<(), PortTaken> {
        let tidy = async |_ready: Ready<()>| -> Result<(), PortTaken> {
            sleep(SECOND).await;
            Err(PortTaken(9))
        };
        drop(n.start(tidy));
        Ok(())
    })
    .grace(5 * SECOND)
    .outcome()
    .await;
    assert_eq!(begin.elapsed(), SECOND);
    assert_eq!(outcome.kind(), OutcomeKind::Partial, "an error is not lost, and ends nothing (P4, P5)");
    assert!(matches!(outcome.failures(), [Failure::Error(PortTaken(9))]));
}

#[tokio::test(start_paused = true)]
async fn a_start_in_a_cancelled_inner_scope_stops_the_child_and_not_the_scope_it_was_started_in() {
    let live = Live::new();
    let guard = live.one();
    let outcome = nursery!(async |outer| -> Result<u8, Cancelled> {
        let inner = nursery!(async |inner| -> Result<(), Cancelled> {
            let started = outer.start(async move |_ready: Ready<()>| -> Result<(), Cancelled> {
                let _guard = guard;
                pending().await
            });
            inner.spawn_with(async |inner: &Scope<Cancelled>| {
                yield_now().await;
                inner.cancel("the caller has enough");
            });
            started.await.map(drop).map_err(StartError::into_error)
        })
        .await;
        assert!(inner.is_err());
        assert!(!outer.is_cancelled());
        while live.count() > 0 {
            yield_now().await;
        }
        Ok(7)
    })
    .outcome()
    .await;
    assert_eq!(outcome.kind(), OutcomeKind::Ok);
}

#[test]
fn a_value_that_nobody_takes_is_dropped_before_the_scope_resolves() {
    both_flavours(|| async {
        // The call is gone before the signal.
        let live = Live::new();
        let value = live.clone();
        let (send, receive) = oneshot::channel();
        nursery!(async |n| -> Result<(), Cancelled> {
            drop(n.start(async move |ready: Ready<_>| {
                let _ = send.send(ready);
                Ok(())
            }));
            if let Ok(ready) = receive.await {
                ready.signal(value.one());
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
        // The call is dropped after the signal, unpolled.
        let value = live.clone();
        let signalled = Arc::new(Notify::new());
        let told = Arc::clone(&signalled);
        nursery!(async |n| -> Result<(), Cancelled> {
            let started = n.start(async move |ready: Ready<_>| {
                ready.signal(value.one());
                told.notify_one();
                pending::<Result<(), Cancelled>>().await
            });
            signalled.notified().await;
            assert_eq!(live.count(), 1);
            drop(started);
            assert_eq!(live.count(), 0);
            Ok(())
        })
        .await
        .expect("the child was stopped, as if the call had never resolved");
    });
}

fn on_threads<Fut: Future<Output = ()> + Send + 'static>(test: Fut) {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::spawn(test).await.unwrap() });
}

/// Both sides of a race wait for each other, then go.
async fn spin(go: &AtomicUsize) {
    go.fetch_add(1, Ordering::SeqCst);
    while go.load(Ordering::SeqCst) < 2 {
        yield_now().await;
    }
}

fn spin_blocking(go: &AtomicUsize) {
    go.fetch_add(1, Ordering::SeqCst);
    while go.load(Ordering::SeqCst) < 2 {
        std::hint::spin_loop();
    }
}

#[test]
fn a_signal_races_a_cancellation_and_exactly_one_of_them_is_reported() {
    on_threads(async {
        let (mut ready, mut cancelled) = (0, 0);
        for round in 0..20_000 {
            let live = Live::new();
            let value = live.clone();
            let go = Arc::new(AtomicUsize::new(0));
            let (child_go, stop_go) = (Arc::clone(&go), Arc::clone(&go));
            let outcome = nursery!(async |n| -> Result<bool, Cancelled> {
                let started = n.start(async move |ready: Ready<_>| {
                    spin(&child_go).await;
                    for _ in 0..round % 5 {
                        yield_now().await;
                    }
                    ready.signal(value.one());
                    Ok(())
                });
                n.spawn_with(async move |n: &Scope<Cancelled>| {
                    let inner = n.spawn_blocking(move |_cx| spin_blocking(&stop_go));
                    inner.await;
                    n.cancel_children("the race");
                });
                match started.await {
                    Ok((_value, _child)) => Ok(true),
                    Err(StartError::Cancelled(_)) => Ok(false),
                    Err(other) => panic!("{other:?}"),
                }
            })
            .outcome()
            .await;
            assert_eq!(outcome.kind(), OutcomeKind::Ok, "stopped from inside: {outcome:?}");
            assert_eq!(live.count(), 0, "a value that came too late is dropped");
            if outcome.into_value() == Some(true) {
                ready += 1;
            } else {
                cancelled += 1;
            }
            if ready > 20 && cancelled > 20 {
                return;
            }
        }
        panic!("one side always won: ready {ready}, cancelled {cancelled}");
    });
}

#[test]
fn a_signal_from_elsewhere_races_the_childs_failure_and_the_failure_has_one_owner() {
    on_threads(async {
        let (mut callers, mut scopes) = (0, 0);
        for round in 0..20_000_u32 {
            let go = Arc::new(AtomicUsize::new(0));
            let (child_go, other_go) = (Arc::clone(&go), Arc::clone(&go));
            let caller = Arc::new(AtomicUsize::new(0));
            let outcome = nursery!(async |n| -> Result<(), PortTaken> {
                let started =
                    n.start_with(async move |n: &Scope<PortTaken>, ready: Ready<()>| -> Result<(), PortTaken> {
                        n.spawn_blocking(move |_cx| {
                            spin_blocking(&other_go);
                            ready.signal(());
                        });
                        spin(&child_go).await;
                        for _ in 0..round % 64 {
                            std::hint::spin_loop();
                        }
                        Err(PortTaken(1))
                    });
                match started.await {
                    Ok(_) => pending().await,
                    Err(StartError::Error(PortTaken(1))) => {
                        caller.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    }
                    Err(other) => panic!("{other:?}"),
                }
            })
            .outcome()
            .await;
            let to_the_caller = caller.load(Ordering::SeqCst);
            assert_eq!(to_the_caller + outcome.failures().len(), 1, "one owner: {outcome:?}");
            if to_the_caller == 1 {
                callers += 1;
            } else {
                scopes += 1;
            }
            if callers > 20 && scopes > 20 {
                return;
            }
        }
        panic!("one side always won: caller {callers}, scope {scopes}");
    });
}

//! Blocking children: told, waited for, and dropped at once while they still queue.

use std::future::{IntoFuture, pending};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use sc_tokio::{BlockingCx, Cancelled, Failure, OutcomeKind, Reason, Scope, TaskBuilder, nursery};
use tokio::task::yield_now;

use crate::support::{Live, Log, Watchdog, both_flavours};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_value_an_error_and_a_panic_arrive() {
    both_flavours(|| async {
        let sum = nursery!(async |n| -> Result<u32, String> {
            let value = n.spawn_blocking(|_cx| Ok(41));
            let error = n.task().isolated().spawn_blocking(|_cx| Err::<(), _>(String::from("no")));
            let panic = n.task().isolated().spawn_blocking(|_cx| -> Result<(), String> { panic!("oh") });
            assert!(matches!(error.join().await, Err(Failure::Error(e)) if e == "no"));
            assert!(panic.join().await.unwrap_err().is_panic());
            Ok(value.await + 1)
        })
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(sum.unwrap(), 42);
    });
}

#[test]
fn running_code_sees_the_cancellation_and_is_waited_for() {
    both_flavours(|| async {
        let live = Live::new();
        let guard = live.one();
        let (started, running) = tokio::sync::oneshot::channel();
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn_blocking(move |cx| {
                let _guard = guard;
                started.send(()).unwrap();
                loop {
                    cx.check()?;
                    std::thread::yield_now();
                }
                #[allow(unreachable_code, reason = "gives the closure its type")]
                Ok::<(), Cancelled>(())
            });
            running.await.unwrap();
            n.cancel("leave the loop");
            Ok(())
        })
        .await;
        assert!(result.is_err());
        assert_eq!(live.count(), 0, "P1 holds for blocking code, too");
    });
}

#[test]
fn a_queued_one_drops_its_captures_when_the_scope_is_cancelled() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (release, gate) = mpsc::channel::<()>();
    let barrier = Arc::new(Barrier::new(2));
    let busy = Arc::clone(&barrier);
    runtime.spawn_blocking(move || {
        busy.wait();
        gate.recv().unwrap();
    });
    barrier.wait(); // the pool's only thread is taken
    runtime.block_on(async {
        let live = Live::new();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let guard = live.one();
            n.spawn_blocking(move |_cx| {
                drop(guard);
                Ok(())
            });
            let guard = live.one();
            let alone = n.spawn_blocking(move |_cx| {
                drop(guard);
                Ok(())
            });
            alone.cancel().await;
            assert_eq!(live.count(), 1, "stopped alone");
            n.cancel("do not wait for the pool");
            std::future::pending().await
        })
        .outcome()
        .await;
        assert_eq!((live.count(), outcome.report().cancelled), (0, 2));
    });
    release.send(()).unwrap();
}

#[test]
fn scopes_can_be_opened_inside_with_block_on() {
    both_flavours(|| async {
        let handle = tokio::runtime::Handle::current();
        if handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::CurrentThread {
            return; // its tasks need the thread that waits
        }
        let value = nursery!(async |n| -> Result<u8, Cancelled> {
            let child = n.spawn_blocking(move |_cx| {
                handle.block_on(async {
                    nursery!(async |inner| {
                        let child = inner.spawn(async { Ok(7) });
                        Ok::<_, Cancelled>(child.await)
                    })
                    .await
                })
            });
            Ok(child.await)
        })
        .await;
        assert_eq!(value.unwrap(), 7);
    });
}

// What the code sees.

#[tokio::test(start_paused = true)]
async fn it_sees_the_deadline_and_why_it_is_cancelled() {
    let (started, running) = tokio::sync::oneshot::channel();
    let (end, ended) = mpsc::channel();
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn_blocking(move |cx| {
            assert!(!cx.is_cancelled() && cx.check().is_ok());
            assert_eq!(cx.remaining(), Some(HOUR), "virtual time stands still while blocking code runs");
            started.send(()).unwrap();
            loop {
                if let Err(cancelled) = cx.check() {
                    assert!(cx.is_cancelled());
                    assert_eq!(cx.remaining(), Some(Duration::ZERO));
                    end.send(cancelled).unwrap();
                    return Ok(());
                }
                std::thread::yield_now();
            }
        });
        running.await.unwrap();
        tokio::time::advance(HOUR).await;
        pending().await
    })
    .named("page")
    .timeout(HOUR)
    .outcome()
    .await;
    let cancelled = ended.recv().unwrap();
    assert!(cancelled.is_deadline() && cancelled.origin().name() == Some("page"), "{cancelled}");
    assert_eq!(outcome.kind(), OutcomeKind::DeadlineExceeded, "the body was cut short");
}

#[test]
fn it_sees_that_it_was_stopped_alone_or_as_a_daemon_or_by_an_ancestor() {
    both_flavours(|| async {
        let until_cancelled = |tell: tokio::sync::oneshot::Sender<()>| {
            move |cx: &BlockingCx| {
                tell.send(()).unwrap();
                loop {
                    if let Err(cancelled) = cx.check() {
                        return Ok::<_, Cancelled>((cancelled.reason(), cancelled.is_inherited()));
                    }
                    std::thread::yield_now();
                }
            }
        };
        let (seen, told) = mpsc::channel();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let spawn = |kind: &'static str, task: TaskBuilder<'_, Cancelled>| {
                let (started, running) = tokio::sync::oneshot::channel();
                let (seen, code) = (seen.clone(), until_cancelled(started));
                drop(task.spawn_blocking(move |cx| {
                    seen.send((kind, code(cx)?)).unwrap();
                    Ok(())
                }));
                running
            };
            spawn("daemon", Scope::task(n).daemon()).await.unwrap();
            spawn("all", Scope::task(n)).await.unwrap();
            n.cancel_children("the daemon and the other");
            let (started, running) = tokio::sync::oneshot::channel();
            let alone = n.spawn_blocking(until_cancelled(started));
            running.await.unwrap();
            alone.cancel().await;
            let inner = nursery!(async |inner| -> Result<(), Cancelled> {
                let (started, running) = tokio::sync::oneshot::channel();
                let (seen, code) = (seen.clone(), until_cancelled(started));
                inner.spawn_blocking(move |cx| {
                    seen.send(("below", code(cx)?)).unwrap();
                    Ok(())
                });
                running.await.unwrap();
                n.cancel("from above");
                pending().await
            });
            inner.await
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Cancelled);
        let mut told: Vec<_> = told.try_iter().collect();
        told.sort_by_key(|(kind, _)| *kind);
        let requested = (Reason::Requested, false);
        assert_eq!(told, [("all", requested), ("below", (Reason::Requested, true)), ("daemon", requested)]);
    });
}

#[test]
fn its_error_and_its_panic_end_the_scope_as_any_childs() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), String> {
            n.task().name("disk").spawn_blocking(|_cx| Err::<(), _>(String::from("full")));
            pending().await
        })
        .outcome()
        .await;
        assert_eq!(outcome.report().failed_members[0].name(), Some("disk"));
        assert!(outcome.to_string().starts_with("failed: child `disk` ("), "{outcome}");
        let outcome = nursery!(async |n| -> Result<(), String> {
            n.spawn_blocking(|_cx| -> Result<(), String> { panic!("bad sector") });
            pending().await
        })
        .outcome()
        .await;
        assert_eq!(outcome.failures()[0].as_panic().unwrap().message(), Some("bad sector"));
    });
}

// A pool that has no thread to spare.

/// A runtime with one blocking thread, which is taken until it is let go of.
struct BusyPool {
    runtime: tokio::runtime::Runtime,
    release: mpsc::Sender<()>,
}

impl BusyPool {
    fn new(workers: Option<usize>) -> Self {
        let mut builder = match workers {
            None => tokio::runtime::Builder::new_current_thread(),
            Some(_) => tokio::runtime::Builder::new_multi_thread(),
        };
        if let Some(workers) = workers {
            builder.worker_threads(workers);
        }
        let runtime = builder.max_blocking_threads(1).enable_time().build().unwrap();
        let (release, gate) = mpsc::channel::<()>();
        let (taken, wait) = mpsc::channel();
        runtime.spawn_blocking(move || {
            taken.send(()).unwrap();
            let _ = gate.recv();
        });
        wait.recv().unwrap();
        Self { runtime, release }
    }

    /// Runs a test while the thread is taken, and lets go of it after.
    #[track_caller]
    fn on_both_flavours<Fut: Future<Output = ()> + Send + 'static>(test: impl Fn() -> Fut) {
        let _watchdog = Watchdog::start();
        for workers in [None, Some(2)] {
            let pool = Self::new(workers);
            let spawned = pool.runtime.spawn(test());
            pool.runtime.block_on(spawned).expect("the test's own task");
            let _ = pool.release.send(());
        }
    }
}

/// A blocking child that cannot begin, with something to drop.
fn queue(n: &Scope<Cancelled>, live: &Live) {
    let guard = live.one();
    n.spawn_blocking(move |_cx| drop(guard));
}

#[test]
fn behind_a_full_pool_every_way_to_cancel_drops_what_is_queued_at_once() {
    BusyPool::on_both_flavours(|| async {
        let live = Live::new();
        let mut left = None;
        let cancelled = nursery!(async |n| -> Result<(), Cancelled> {
            queue(n, &live);
            n.cancel("whole");
            left = Some(live.count());
            pending().await
        });
        assert!(cancelled.await.is_err());
        assert_eq!(left, Some(0), "dropped by the call itself");
        let children = nursery!(async |n| -> Result<(), Cancelled> {
            queue(n, &live);
            let child = n.spawn_blocking(|_cx| Ok(1));
            n.cancel_children("present");
            assert_eq!(live.count(), 0);
            assert!(child.join().await.unwrap_err().is_cancelled());
            Ok(())
        });
        children.await.unwrap();
        let stopped = nursery!(async |n| -> Result<(), Cancelled> {
            n.canceller().cancel("button");
            queue(n, &live);
            Ok(())
        });
        assert!(stopped.await.is_err(), "refused");
        let late = nursery!(async |n| -> Result<(), Cancelled> {
            queue(n, &live);
            Ok(())
        });
        assert!(late.timeout(Duration::from_millis(1)).await.unwrap_err().is_deadline());
        let failed = nursery!(async |n| -> Result<(), Cancelled> {
            n.task().daemon().spawn_blocking({
                let guard = live.one();
                move |_cx| drop(guard)
            });
            queue(n, &live);
            n.spawn(async { panic!("a sibling") });
            pending().await
        });
        assert!(failed.outcome().await.failures()[0].is_panic());
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn behind_a_full_pool_the_rest_of_the_scope_goes_on() {
    BusyPool::on_both_flavours(|| async {
        let (live, log) = (Live::new(), Log::new());
        let outcome = nursery!(async |n| -> Result<u8, Cancelled> {
            let entry = log.clone();
            n.defer(async move |_end| {
                nursery!(async |n| -> Result<(), Cancelled> {
                    n.spawn(yield_now()).await;
                    Ok(())
                })
                .await
                .unwrap();
                entry.add("finalized");
            });
            queue(n, &live);
            n.task().daemon().spawn(pending::<()>());
            let parallel = n.spawn(async { Ok(1) }).await;
            let borrowed = n.spawn_borrowed(async { Ok(live.count()) }).await;
            let nested = nursery!(async |n| -> Result<u8, Cancelled> {
                queue(n, &live);
                let value = n.spawn(async { Ok(3) }).await;
                n.cancel_children("what is queued");
                Ok(value)
            });
            assert!(n.spawn(async {}).join().await.is_ok());
            assert_eq!((parallel, borrowed, nested.await.unwrap()), (1, 1, 3));
            assert_eq!(live.count(), 1, "the one outside still waits");
            n.cancel_children("that one, too");
            Ok(parallel)
        })
        .outcome()
        .await;
        assert_eq!((outcome.kind(), live.count()), (OutcomeKind::Ok, 0));
        assert_eq!(log.entries(), ["finalized"]);
    });
}

#[test]
fn behind_a_full_pool_a_scope_can_be_dropped_and_its_parent_resolves() {
    BusyPool::on_both_flavours(|| async {
        let (live, log) = (Live::new(), Log::new());
        nursery!(async |_n| -> Result<(), Cancelled> {
            let entry = log.clone();
            let inner = nursery!(async |n| -> Result<(), Cancelled> {
                n.defer(async move |_end| entry.add("finalized"));
                queue(n, &live);
                let guard = live.one();
                drop(sc_tokio::spawn_blocking(move || drop(guard)));
                pending().await
            });
            let mut inner = Box::pin(inner.into_future());
            assert!(futures::poll!(&mut inner).is_pending());
            assert_eq!(live.count(), 2);
            drop(inner);
            assert_eq!(live.count(), 0, "dropped by the drop");
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(log.entries(), ["finalized"]);
    });
}

#[test]
fn a_queued_one_runs_when_a_thread_comes_free_and_the_scope_waits_for_it() {
    let _watchdog = Watchdog::start();
    for workers in [None, Some(2)] {
        let BusyPool { runtime, release } = BusyPool::new(workers);
        let values = runtime.block_on(async {
            nursery!(async |n| -> Result<Vec<u8>, Cancelled> {
                let queued: Vec<_> = (0..3).map(|i| n.spawn_blocking(move |_cx| Ok(i))).collect();
                for _ in 0..10 {
                    yield_now().await;
                }
                assert!(queued.iter().all(|child| !child.is_finished()));
                release.send(()).unwrap();
                let mut values = Vec::new();
                for child in queued {
                    values.push(child.await);
                }
                n.spawn_blocking(|_cx| ()); // waited for without a handle
                Ok(values)
            })
            .await
        });
        assert_eq!(values.unwrap(), [0, 1, 2]);
    }
}

#[test]
fn a_full_pool_of_the_scopes_own_children_ends_when_they_look() {
    // The thread is taken by a sibling that watches for the cancellation; others queue behind it.
    let _watchdog = Watchdog::start();
    for workers in [None, Some(2)] {
        let BusyPool { runtime, release } = BusyPool::new(workers);
        release.send(()).unwrap();
        let live = Live::new();
        let outcome = runtime.block_on(async {
            nursery!(async |n| -> Result<(), Cancelled> {
                let (started, running) = tokio::sync::oneshot::channel();
                let guard = live.one();
                n.spawn_blocking(move |cx| {
                    let _guard = guard;
                    started.send(()).unwrap();
                    while !cx.is_cancelled() {
                        std::thread::yield_now();
                    }
                });
                running.await.unwrap();
                for _ in 0..10 {
                    queue(n, &live);
                }
                n.cancel("all eleven");
                assert!(live.count() <= 1, "at most the one that runs");
                pending().await
            })
            .outcome()
            .await
        });
        assert!(outcome.failures().is_empty(), "{outcome:?}");
        let report = outcome.report();
        assert_eq!((report.spawned, report.succeeded, report.cancelled, live.count()), (11, 1, 10, 0));
    }
}

#[test]
fn a_blocking_child_may_wait_for_async_siblings_but_not_for_queued_ones() {
    // With the last thread, it joins a parallel sibling through a channel: that one needs no thread of the pool.
    let _watchdog = Watchdog::start();
    let BusyPool { runtime, release } = BusyPool::new(Some(2));
    release.send(()).unwrap();
    let value = runtime.block_on(async {
        nursery!(async |n| -> Result<u8, Cancelled> {
            let (tell, told) = mpsc::channel();
            let blocking = n.spawn_blocking(move |_cx| Ok(told.recv().unwrap()));
            n.spawn(async move { tell.send(7).unwrap() });
            Ok(blocking.await)
        })
        .await
    });
    assert_eq!(value.unwrap(), 7);
}

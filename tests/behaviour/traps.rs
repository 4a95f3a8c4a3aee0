//! The traps that prototypes fell into (DESIGN, "What prototypes taught"), one test each.

use std::future::{Future, IntoFuture, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sc_tokio::{Cancelled, Scope, nursery, policy_fn};
use tokio::task::yield_now;

use crate::support::{Live, Watchdog, both_flavours};

#[test]
fn trap_01_a_dead_child_ends_the_frame_that_awaits_it_in_a_child_and_in_block_on() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<(), String> {
            let waiter = n.spawn_with(async |n: &Scope<String>| {
                let dead = n.spawn(async { Err::<(), _>(String::from("dead")) });
                while !dead.is_finished() {
                    yield_now().await;
                }
                futures::executor::block_on(dead);
                unreachable!("no value")
            });
            waiter.await;
            unreachable!("no value")
        })
        .grace(Duration::from_secs(3600))
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(result.unwrap_err(), "dead");
    });
}

/// An output whose destructor waits to be let go.
struct SlowOutput {
    dropped: Arc<AtomicBool>,
    started: mpsc::Sender<()>,
    release: mpsc::Receiver<()>,
}

impl Drop for SlowOutput {
    fn drop(&mut self) {
        self.started.send(()).unwrap();
        self.release.recv().unwrap();
        self.dropped.store(true, Ordering::SeqCst);
    }
}

#[test]
fn trap_02_an_output_whose_handle_is_gone_is_dropped_before_the_scope_resolves() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let dropped = Arc::new(AtomicBool::new(false));
        let (started, start) = mpsc::channel();
        let (let_go, release) = mpsc::channel();
        let output = SlowOutput { dropped: Arc::clone(&dropped), started, release };
        let helper = std::thread::Builder::new().spawn(move || {
            start.recv().unwrap();
            let_go.send(()).unwrap();
        });
        nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn(async move {
                yield_now().await;
                Ok(output)
            });
            Ok(())
        })
        .await
        .unwrap();
        assert!(dropped.load(Ordering::SeqCst), "P1: the output's destructor has run to its end");
        helper.unwrap().join().unwrap();
    });
}

#[test]
fn trap_03_a_child_stopped_before_its_first_poll_is_counted_and_released() {
    both_flavours(|| async {
        let live = Live::new();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            for _ in 0..100 {
                let guard = live.one();
                n.spawn(async move { drop(guard) });
            }
            n.cancel("before any of them ran");
            pending().await
        })
        .outcome()
        .await;
        let report = outcome.report();
        assert_eq!((live.count(), report.succeeded + report.cancelled), (0, 100));
    });
}

#[test]
fn trap_03_a_spawn_on_a_runtime_that_shuts_down_deadlocks_nobody() {
    let _watchdog = Watchdog::start();
    let live = Live::new();
    struct SpawnsOnDrop<'a>(&'a Scope<Cancelled>, Live);
    impl Drop for SpawnsOnDrop<'_> {
        fn drop(&mut self) {
            let guard = self.1.one();
            self.0.spawn(async move { drop(guard) });
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let guards = live.clone();
    runtime.spawn(async move {
        nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn_with(async move |n: &Scope<Cancelled>| {
                let _spawner = SpawnsOnDrop(n, guards);
                pending::<()>().await;
            });
            pending().await
        })
        .await
    });
    runtime.block_on(async {
        for _ in 0..10 {
            yield_now().await;
        }
    });
    drop(runtime);
    assert_eq!(live.count(), 0);
}

#[test]
fn trap_04_a_refused_child_is_never_polled() {
    both_flavours(|| async {
        let polled = Arc::new(AtomicUsize::new(0));
        let _: Result<(), Cancelled> = nursery!(async |n| {
            n.cancel("first");
            for _ in 0..1000 {
                let polled = Arc::clone(&polled);
                n.spawn(async move {
                    polled.fetch_add(1, Ordering::SeqCst);
                });
            }
            Ok(())
        })
        .await;
        assert_eq!(polled.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn trap_05_a_destructors_panic_of_a_stopped_child_is_not_swallowed() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("while being stopped");
        }
    }
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn(async {
                let _bomb = Bomb;
                pending::<()>().await;
            });
            for _ in 0..5 {
                yield_now().await;
            }
            n.cancel("stop");
            pending().await
        })
        .outcome()
        .await;
        assert!(!outcome.is_ok());
        assert_eq!(outcome.failures()[0].as_panic().unwrap().message(), Some("while being stopped"));
    });
}

struct PanickingWaker(AtomicUsize);

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a waker that panics");
    }
}

#[test]
fn trap_06_a_panicking_waker_hangs_no_ancestor() {
    both_flavours(|| async {
        let live = Live::new();
        nursery!(async |_n| -> Result<(), Cancelled> {
            let guard = live.one();
            let (finish, finished) = tokio::sync::oneshot::channel::<()>();
            let mut scope = Box::pin(
                nursery!(async |inner| -> Result<(), Cancelled> {
                    inner.spawn(async move {
                        let _guard = guard;
                        let _ = finished.await;
                    });
                    Ok(())
                })
                .into_future(),
            );
            let broken = Arc::new(PanickingWaker(AtomicUsize::new(0)));
            let waker = Waker::from(Arc::clone(&broken));
            assert!(scope.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            finish.send(()).unwrap();
            while broken.0.load(Ordering::SeqCst) == 0 {
                yield_now().await;
            }
            drop(scope);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn trap_07_a_queued_blocking_child_does_not_keep_its_captures_behind_a_busy_pool() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (release, gate) = mpsc::channel::<()>();
    let taken = Arc::new(Barrier::new(2));
    let busy = Arc::clone(&taken);
    runtime.spawn_blocking(move || {
        busy.wait();
        gate.recv().unwrap();
    });
    taken.wait();
    let live = Live::new();
    let guard = live.one();
    let result = runtime.block_on(async {
        nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn_blocking(move |_cx| drop(guard));
            n.cancel("the pool is busy");
            Ok(())
        })
        .await
    });
    assert!(result.is_err());
    assert_eq!(live.count(), 0);
    release.send(()).unwrap();
}

#[test]
fn trap_08_a_chain_of_dropped_scopes_ends_without_recursion() {
    type Scope = Pin<Box<dyn Future<Output = Result<(), Cancelled>> + Send>>;
    fn level(depth: usize) -> Scope {
        Box::pin(async move {
            nursery!(async move |n| -> Result<(), Cancelled> {
                n.spawn(async move {
                    if depth > 0 {
                        // Opened here, polled once, and dropped with its child still alive.
                        let mut next = level(depth - 1);
                        assert!(futures::poll!(next.as_mut()).is_pending());
                    }
                });
                pending().await
            })
            .await
        })
    }
    both_flavours(|| async {
        nursery!(async |_n| -> Result<(), Cancelled> {
            let mut top = level(20_000);
            assert!(futures::poll!(top.as_mut()).is_pending());
            for _ in 0..100 {
                yield_now().await;
            }
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn trap_09_a_destructor_that_spawns_into_a_cancelled_scope_is_refused() {
    struct Respawns<'a>(&'a Scope<Cancelled>, Arc<AtomicUsize>);
    impl Drop for Respawns<'_> {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.spawn(async { unreachable!("refused") });
        }
    }
    both_flavours(|| async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dropped);
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn_with(async move |n: &Scope<Cancelled>| {
                let _respawns = Respawns(n, count);
                pending::<()>().await;
            });
            for _ in 0..10 {
                yield_now().await;
            }
            n.cancel("stop");
            pending().await
        })
        .outcome()
        .await;
        assert_eq!((dropped.load(Ordering::SeqCst), outcome.report().refused), (1, 1));
    });
}

#[test]
fn trap_09_a_destructor_that_respawns_itself_into_a_cancelled_scope_does_not_recurse() {
    struct Hydra(Arc<AtomicUsize>);
    impl Drop for Hydra {
        fn drop(&mut self) {
            if self.0.fetch_sub(1, Ordering::SeqCst) > 1 {
                let next = Hydra(Arc::clone(&self.0));
                sc_tokio::spawn(async move { drop(next) });
            }
        }
    }
    both_flavours(|| async {
        let left = Arc::new(AtomicUsize::new(200_000));
        let hydra = Hydra(Arc::clone(&left));
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("no more heads");
            sc_tokio::spawn(async move { drop(hydra) });
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!((left.load(Ordering::SeqCst), outcome.report().refused), (0, 200_000));
    });
}

#[test]
fn trap_10_a_failure_is_decided_in_the_failing_childs_task_though_nobody_polls_the_scope() {
    both_flavours(|| async {
        let live = Live::new();
        let mut scope = Box::pin(
            nursery!(async |n| -> Result<(), std::io::Error> {
                let guard = live.one();
                n.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                n.spawn(async { Err::<(), _>(std::io::Error::other("decides")) });
                pending().await
            })
            .into_future(),
        );
        assert!(futures::poll!(scope.as_mut()).is_pending());
        while live.count() > 0 {
            yield_now().await; // not polling the scope
        }
        assert_eq!(scope.await.unwrap_err().to_string(), "decides");
    });
}

#[test]
fn trap_11_user_code_runs_under_no_lock() {
    struct Asks(sc_tokio::Canceller);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.cancel("from a destructor");
            assert!(self.0.is_cancelled());
        }
    }
    impl std::fmt::Debug for Asks {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{}", self.0.is_cancelled())
        }
    }
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), Asks> {
            let (from_policy, in_error) = (n.canceller(), n.canceller());
            n.spawn_with(async move |n: &Scope<Asks>| {
                let _error = Asks(n.canceller());
                Err::<(), _>(Asks(in_error))
            });
            n.task().isolated().spawn(async move { from_policy.cancel("from a child") });
            pending().await
        })
        .policy(policy_fn(|exit: &sc_tokio::ChildExit<'_, Asks>| {
            if let Some(asks) = exit.error() {
                asks.0.cancel("from the policy");
            }
            sc_tokio::Verdict::Continue
        }))
        .outcome()
        .await;
        assert!(!outcome.is_ok());
    });
}

#[test]
fn trap_12_borrowed_arguments_live_outside_the_scope_and_boxes_coerce() {
    both_flavours(|| async {
        async fn length(text: &str, scale: &mut usize) -> Result<Box<dyn Fn() -> usize + Send>, Cancelled> {
            let length = nursery!(async |n| {
                let length = n.spawn_borrowed(async { Ok(text.len()) });
                Ok(length.await)
            })
            .await?;
            *scale += length;
            nursery!(async |_n| -> Result<Box<dyn Fn() -> usize + Send>, Cancelled> { Ok(Box::new(move || length)) })
                .await
        }
        let mut scale = 1;
        assert_eq!(length("four", &mut scale).await.unwrap()(), 4);
        assert_eq!(scale, 5);
    });
}

#[test]
fn trap_13_spawn_against_cancel_sees_both_outcomes() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (mut ran, mut refused) = (0, 0);
    for _ in 0..100_000 {
        if ran > 0 && refused > 0 {
            return;
        }
        let polled = Arc::new(AtomicUsize::new(0));
        let outcome = runtime.block_on(async {
            let polled = Arc::clone(&polled);
            nursery!(async |n| -> Result<(), Cancelled> {
                let stop = n.canceller();
                // On a thread of its own: behind its spinning spawner it would always come second.
                let canceller = std::thread::Builder::new().spawn(move || stop.cancel("race")).unwrap();
                n.spawn_with(async move |n: &Scope<Cancelled>| {
                    for _ in 0..200 {
                        let polled = Arc::clone(&polled);
                        n.spawn(async move {
                            polled.fetch_add(1, Ordering::SeqCst);
                        });
                    }
                });
                while !canceller.is_finished() {
                    yield_now().await;
                }
                Ok(())
            })
            .grace(Duration::from_secs(60))
            .outcome()
            .await
        });
        ran += polled.load(Ordering::SeqCst);
        refused += usize::try_from(outcome.report().refused).unwrap();
        assert_eq!(outcome.report().cancelled, 0, "in its grace nothing is dropped");
    }
    panic!("only one outcome was seen: {ran} ran, {refused} were refused");
}

#[test]
fn trap_14_many_borrowed_children_are_polled_only_when_they_are_woken() {
    struct CountsPolls<'a>(&'a AtomicUsize, tokio::sync::oneshot::Receiver<()>);
    impl Future for CountsPolls<'_> {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Pin::new(&mut self.1).poll(cx).map(drop)
        }
    }
    both_flavours(|| async {
        let polls = AtomicUsize::new(0);
        nursery!(async |n| -> Result<(), Cancelled> {
            let senders: Vec<_> = (0..100)
                .map(|_| {
                    let (sender, receiver) = tokio::sync::oneshot::channel();
                    n.spawn_borrowed(CountsPolls(&polls, receiver));
                    sender
                })
                .collect();
            yield_now().await;
            for sender in senders {
                sender.send(()).unwrap();
                yield_now().await;
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(polls.into_inner(), 200, "once to begin and once when woken");
    });
}

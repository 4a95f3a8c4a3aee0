//! Runtimes that end in the middle (P10): what can be dropped is dropped, nothing hangs, and
//! finalizers that can never run are reported.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sc_tokio::{Cancelled, Reason, Scope, nursery};
use tokio::runtime::Runtime;

use crate::support::{Gate, Guard, Live, one_thread, poll_once, said, two_workers, unique, until, watched};

/// How a runtime ends.
const ENDS: [fn(Runtime); 3] = [
    |runtime| drop(runtime),
    |runtime| runtime.shutdown_background(),
    |runtime| runtime.shutdown_timeout(Duration::from_millis(50)),
];

/// On every flavour, with every end.
fn every_end(test: impl Fn(Runtime, fn(Runtime)) + Send + 'static) {
    watched(move || {
        for end in ENDS {
            for runtime in [one_thread(), two_workers()] {
                test(runtime, end);
            }
        }
    });
}

/// Spins until the values are gone: a runtime may end in the background.
fn until_gone(live: &Live) {
    while live.count() > 0 {
        std::thread::yield_now();
    }
}

/// A scope of every kind of child, with scopes below.
async fn busy(live: Live, ran: Arc<AtomicUsize>) {
    let child = |live: &Live| {
        let guard = live.guard();
        async move {
            let _guard = guard;
            pending::<()>().await;
        }
    };
    let deep = live.clone();
    let _body = live.guard();
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let guard = live.guard();
        n.defer(async move |_| {
            let _guard = guard;
            tokio::task::yield_now().await;
            ran.fetch_add(1, Ordering::SeqCst);
        });
        let _ = n.spawn(child(&live));
        let _ = n.task().daemon().spawn(child(&live));
        let _ = n.spawn_borrowed(child(&live));
        let _ = n.spawn_with(async move |n: &Scope<Cancelled>| {
            let _ = n.spawn(child(&deep));
            let _: Result<(), Cancelled> = nursery!(async |n| {
                let _guard = deep.guard();
                let guard = deep.guard();
                n.defer(async move |_| drop(guard));
                let _ = n.spawn(child(&deep));
                pending().await
            })
            .await;
        });
        n.spawn_blocking(|_| ()).await;
        pending().await
    })
    .await;
}

async fn steps() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// P10, P1: the scope is in a task of the runtime.
#[test]
fn a_runtime_that_ends_under_a_scope_in_a_task_drops_everything() {
    every_end(|runtime, end| {
        let (live, ran) = (Live::default(), Arc::default());
        drop(runtime.spawn(busy(live.clone(), Arc::clone(&ran))));
        runtime.block_on(until(|| live.count() == 9));
        end(runtime);
        until_gone(&live);
        assert_eq!(ran.load(Ordering::SeqCst), 0, "no finalizer can run");
    });
}

/// P3: the scope's future outlives the runtime, and is dropped on another thread.
#[test]
fn a_scope_whose_future_outlives_the_runtime_can_be_dropped_anywhere() {
    every_end(|runtime, end| {
        let (live, ran) = (Live::default(), Arc::default());
        let mut scope = Box::pin(busy(live.clone(), ran));
        runtime.block_on(async {
            for _ in 0..20 {
                assert!(futures::poll!(scope.as_mut()).is_pending());
                tokio::task::yield_now().await;
            }
        });
        end(runtime);
        std::thread::spawn(move || drop(scope)).join().expect("no panic");
        until_gone(&live);
    });
}

/// The same, dropped first and then ended: the task that carries the scope ends half-way.
#[test]
fn a_runtime_that_ends_while_a_dropped_scope_is_torn_down_leaves_nothing() {
    every_end(|runtime, end| {
        let (live, ran) = (Live::default(), Arc::default());
        let mut scope = Box::pin(busy(live.clone(), ran));
        runtime.block_on(async {
            for _ in 0..20 {
                assert!(futures::poll!(scope.as_mut()).is_pending());
                tokio::task::yield_now().await;
            }
            drop(scope);
        });
        end(runtime);
        until_gone(&live);
    });
}

/// P10: a scope that is polled on after its runtime ended says why it has ended.
#[test]
fn a_scope_polled_after_its_runtime_ended_resolves() {
    every_end(|runtime, end| {
        let live = Live::default();
        let guard = live.guard();
        let scope = nursery!(async move |n| -> Result<(), Cancelled> {
            let _ = n.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            pending().await
        });
        let mut scope = Box::pin(scope.into_future());
        runtime.block_on(async {
            assert!(futures::poll!(scope.as_mut()).is_pending());
            steps().await;
        });
        end(runtime);
        until_gone(&live);
        let result = futures::executor::block_on(scope);
        assert_eq!(result.unwrap_err().reason(), Reason::RuntimeEnded);
    });
}

/// P9: blocking code that runs is not cut by the end of the runtime; one that waits for a thread is
/// dropped.
#[test]
fn a_runtime_that_ends_drops_queued_blocking_children_and_lets_running_ones_end() {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let mut runtime = { runtime };
        let runtime = runtime.worker_threads(1).max_blocking_threads(1).enable_all().build().expect("a runtime");
        let (live, started, gate) = (Live::default(), Gate::default(), Gate::default());
        let (running, queued): (Guard, Guard) = (live.guard(), live.guard());
        let (begun, held) = (started.clone(), gate.clone());
        let scope = nursery!(async move |n| -> Result<(), Cancelled> {
            let _ = n.spawn_blocking(move |_| {
                let _running = running;
                begun.open();
                held.pass();
            });
            let _ = n.spawn_blocking(move |_| drop(queued));
            pending().await
        });
        drop(runtime.spawn(scope.into_future()));
        started.pass();
        runtime.shutdown_background();
        while live.count() > 1 {
            std::thread::yield_now();
        }
        assert!(!gate.is_open());
        gate.open();
        until_gone(&live);
    });
}

/// P10: the scope is being finalized when the runtime ends.
#[test]
fn finalizers_that_run_when_the_runtime_ends_are_dropped() {
    every_end(|runtime, end| {
        let live = Live::default();
        let guards = [live.guard(), live.guard()];
        let scope = nursery!(async move |n| -> Result<(), Cancelled> {
            for guard in guards {
                n.defer(async move |_| {
                    let _guard = guard;
                    pending::<()>().await;
                });
            }
            Ok(())
        })
        .finalizer_timeout(Duration::MAX);
        let started = Gate::default();
        let begun = started.clone();
        let name = unique("finalizing");
        let scope = scope.named(name.clone());
        drop(runtime.spawn(async move {
            begun.open();
            scope.await
        }));
        runtime.block_on(async {
            until(|| started.is_open()).await;
            steps().await;
        });
        assert_eq!(live.count(), 2);
        end(runtime);
        until_gone(&live);
        while said(&name) == 0 {
            std::thread::yield_now();
        }
        assert_eq!(said(&format!("2 finalizers of scope `{name}`")), 1);
    });
}

/// P7: a spawn on a runtime that has ended is a child that ended with it.
#[test]
fn a_scope_on_one_runtime_survives_the_end_of_the_runtime_of_a_child() {
    watched(|| {
        let (home, guest) = (one_thread(), one_thread());
        let live = Live::default();
        let guard = live.guard();
        let handle = guest.handle().clone();
        let result: Result<(), Cancelled> = home.block_on(
            nursery!(async |n| {
                let child = {
                    let _entered = handle.enter();
                    n.spawn(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    })
                };
                guest.shutdown_background();
                let joined = child.join().await;
                assert!(joined.unwrap_err().is_cancelled());
                let late = {
                    let _entered = handle.enter();
                    n.spawn(async {})
                };
                assert!(late.join().await.unwrap_err().is_cancelled());
                Ok(())
            })
            .into_future(),
        );
        assert_eq!(result.unwrap_err().reason(), Reason::RuntimeEnded);
        assert_eq!(live.count(), 0);
    });
}

/// Polled outside Tokio: a panic that says so.
#[test]
fn a_scope_polled_outside_tokio_says_so() {
    watched(|| {
        let mut scope = Box::pin(nursery!(async |_n| -> Result<(), Cancelled> { Ok(()) }).into_future());
        let panic = crate::fuse::caught(|| poll_once(scope.as_mut())).expect_err("there is no runtime");
        let text = panic.downcast_ref::<String>().expect("text");
        assert!(text.contains("outside a Tokio runtime") && text.contains(file!()), "{text}");
    });
}

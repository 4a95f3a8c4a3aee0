//! What peers do wrong, and this must not (DESIGN, "What peers do wrong"): one test a row.

use std::future::{IntoFuture, pending};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use sc_tokio::{Cancelled, OutcomeKind, Scope, Supervise, nursery};
use tokio::task::yield_now;

use crate::support::{Live, Watchdog, both_flavours};

#[test]
fn tokio_scoped_a_scope_inside_a_current_thread_runtime_borrows_safely() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let text = String::from("borrowed");
    let length = runtime.block_on(async {
        nursery!(async |n| -> Result<usize, Cancelled> {
            let length = n.spawn_borrowed(async {
                yield_now().await;
                Ok(text.len())
            });
            Ok(length.await)
        })
        .await
    });
    assert_eq!(length.unwrap(), 8);
}

#[test]
fn scoped_join_set_and_futures_scopes_forgetting_the_scope_leaves_no_child_that_borrows() {
    both_flavours(|| async {
        let live = Live::new();
        {
            let text = String::from("gone soon");
            let guard = live.one();
            nursery!(async |_outer| -> Result<(), Cancelled> {
                let mut scope = Box::pin(
                    nursery!(async |n| -> Result<(), Cancelled> {
                        n.spawn_borrowed(async {
                            yield_now().await;
                            assert_eq!(text.len(), 9);
                            pending::<()>().await;
                        });
                        n.spawn(async move {
                            let _guard = guard;
                            pending::<()>().await;
                        });
                        pending().await
                    })
                    .into_future(),
                );
                assert!(futures::poll!(scope.as_mut()).is_pending());
                // The borrowed child is in the future, which nobody can poll any more.
                std::mem::forget(scope);
                Ok(())
            })
            .await
            .unwrap();
        }
        assert_eq!(live.count(), 0, "and the parallel one was cancelled and waited for");
    });
}

#[test]
fn moro_a_panicking_child_does_not_abort_the_process() {
    both_flavours(|| async {
        let scope = async {
            nursery!(async |n| -> Result<(), Cancelled> {
                n.spawn_borrowed(async { panic!("one child") });
                pending().await
            })
            .await
        };
        let payload = futures::FutureExt::catch_unwind(AssertUnwindSafe(scope)).await.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"one child"));
    });
}

#[test]
fn moro_local_spawning_from_inside_a_child_works() {
    both_flavours(|| async {
        let value = nursery!(async |n| -> Result<u8, Cancelled> {
            let child = n.spawn_with(async |n: &Scope<Cancelled>| {
                let grandchild = n.spawn(async { Ok(5) });
                Ok::<_, Cancelled>(grandchild.await)
            });
            Ok(child.await)
        })
        .await;
        assert_eq!(value.unwrap(), 5);
    });
}

#[test]
fn async_scoped_blocking_on_a_scope_works_on_a_current_thread_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let value = runtime.block_on(
        nursery!(async |n| -> Result<u8, Cancelled> {
            let child = n.spawn(async { Ok(1) });
            Ok(child.await)
        })
        .into_future(),
    );
    assert_eq!(value.unwrap(), 1);
}

#[test]
fn async_task_group_and_task_group_dropping_leaves_no_child_running() {
    both_flavours(|| async {
        let live = Live::new();
        nursery!(async |_outer| -> Result<(), Cancelled> {
            let guard = live.one();
            let mut group = Box::pin(
                nursery!(async |n| -> Result<(), Cancelled> {
                    // The handle is dropped at once, which orphans nobody.
                    drop(n.spawn(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    }));
                    pending().await
                })
                .into_future(),
            );
            assert!(futures::poll!(group.as_mut()).is_pending());
            drop(group);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn noworkers_a_panic_stops_siblings_and_a_worker_may_spawn() {
    both_flavours(|| async {
        let live = Live::new();
        let guard = live.one();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn_with(async move |n: &Scope<Cancelled>| {
                n.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                yield_now().await;
                panic!("a worker")
            });
            pending().await
        })
        .outcome()
        .await;
        assert_eq!((outcome.kind(), live.count()), (OutcomeKind::Failed, 0));
    });
}

#[tokio::test(start_paused = true)]
async fn tokio_context_a_childs_shorter_deadline_fires_in_time() {
    let start = tokio::time::Instant::now();
    nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.spawn(async {
            let short: Result<(), Cancelled> =
                nursery!(async |_inner| pending().await).timeout(Duration::from_millis(200)).await;
            assert!(short.unwrap_err().is_deadline());
            Ok(())
        });
        child.await;
        Ok(())
    })
    .timeout(Duration::from_secs(2))
    .await
    .unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(200));
}

#[test]
fn tokio_graceful_shutdown_payloads_are_kept_and_stopped_tasks_are_joined() {
    both_flavours(|| async {
        let live = Live::new();
        let outcome = nursery!(<Supervise> async |n| -> Result<(), Cancelled> {
            let guard = live.one();
            n.task().name("subsystem").spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            let bad = n.spawn(async { std::panic::panic_any(7_u32) });
            let panic = bad.join().await.err().unwrap();
            let sc_tokio::Failure::Panic(panic) = panic else { panic!("{panic:?}") };
            assert_eq!(panic.into_payload().downcast_ref::<u32>(), Some(&7));
            n.cancel("shut down");
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!((live.count(), outcome.report().cancelled), (0, 1));
    });
}

#[test]
fn join_set_when_the_scope_is_gone_so_are_children_and_grandchildren() {
    both_flavours(|| async {
        let live = Live::new();
        nursery!(async |_outer| -> Result<(), Cancelled> {
            let guards = live.clone();
            let mut scope = Box::pin(
                nursery!(async |n| -> Result<(), Cancelled> {
                    n.spawn(async move {
                        nursery!(async |inner| -> Result<(), Cancelled> {
                            let guard = guards.one();
                            inner.spawn(async move {
                                let _guard = guard;
                                pending::<()>().await;
                            });
                            pending().await
                        })
                        .await
                    });
                    pending().await
                })
                .into_future(),
            );
            for _ in 0..10 {
                assert!(futures::poll!(scope.as_mut()).is_pending());
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
fn join_set_a_stopped_member_panics_nobody() {
    both_flavours(|| async {
        let value = nursery!(async |n| -> Result<u8, Cancelled> {
            let (stopped, other) = (n.spawn(pending::<()>()), n.spawn(async { Ok(1) }));
            stopped.cancel().await;
            Ok(other.await)
        })
        .await;
        assert_eq!(value.unwrap(), 1);
    });
}

#[test]
fn task_tracker_a_closed_scope_is_a_gate() {
    both_flavours(|| async {
        let mut on_the_spot = None;
        let refused = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("closed");
            on_the_spot = Some(n.spawn(async {}).is_finished());
            Ok(())
        })
        .outcome()
        .await
        .report()
        .refused;
        assert_eq!((refused, on_the_spot), (1, Some(true)));
    });
}

#[tokio::test(start_paused = true)]
async fn nested_timeouts_with_both_expired_the_outer_one_is_the_result() {
    let both = Duration::from_secs(1);
    let outer = nursery!(async |_n| -> Result<(), Cancelled> {
        nursery!(async |_i| -> Result<(), Cancelled> { pending().await }).named("inner").timeout(both).await
    })
    .named("outer")
    .timeout(both)
    .await;
    assert_eq!(outer.unwrap_err().origin().name(), Some("outer"));
}

#[test]
fn fuchsia_the_handle_of_a_child_of_a_closed_scope_resolves() {
    let _watchdog = Watchdog::start();
    both_flavours(|| async {
        let mut joined = None;
        let mut stopped = false;
        let _: Result<(), Cancelled> = nursery!(async |n| {
            n.cancel("closed");
            joined = Some(n.spawn(async { Ok(1) }).join().await);
            n.spawn(pending::<()>()).cancel().await;
            stopped = true;
            Ok(())
        })
        .grace(Duration::from_secs(3600))
        .await;
        assert!(joined.unwrap().unwrap_err().is_cancelled());
        assert!(stopped);
    });
}

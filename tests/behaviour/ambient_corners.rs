//! Ambient tasks where it is easy to lose one: queued, shielded, local, listed late.

use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;

use sc_tokio::{Cancelled, Supervise, nursery};
use tokio::runtime::Builder;
use tokio::task::yield_now;

use crate::support::{Live, Watchdog};

#[test]
fn a_queued_closure_that_was_woken_for_somebody_else_is_still_taken_out_by_the_cancellation() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let (open, gate) = mpsc::channel::<()>();
    runtime.block_on(async {
        let busy = tokio::task::spawn_blocking(move || gate.recv().is_ok());
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            sc_tokio::spawn_blocking(|| ());
            let sibling = n.spawn(pending::<()>());
            yield_now().await;
            drop(sibling.cancel()); // in its grace: everybody who waits is woken
            yield_now().await;
            n.cancel("stop");
            pending().await
        })
        .grace(Duration::from_millis(20))
        .await;
        assert!(result.is_err());
        open.send(()).unwrap();
        assert!(busy.await.unwrap());
    });
}

#[test]
fn what_an_aborted_shielded_task_started_is_waited_for() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for _ in 0..100 {
        let live = Live::new();
        runtime.block_on(async {
            nursery!(async |_n| -> Result<(), Cancelled> {
                let (up, is_up) = tokio::sync::oneshot::channel();
                let guard = live.one();
                let handle = sc_tokio::spawn_shielded(Duration::from_secs(60), async move {
                    sc_tokio::spawn(async move {
                        let _guard = guard;
                        up.send(()).unwrap();
                        pending::<()>().await;
                    });
                    pending::<()>().await;
                });
                is_up.await.unwrap();
                handle.abort();
                Ok(())
            })
            .await
            .unwrap();
        });
        assert_eq!(live.count(), 0);
    }
}

/// The handle says what Tokio's would say, and the scope is told all the same (P4).
#[test]
fn the_panic_of_an_aborted_tasks_destructor_is_in_the_handle_and_told_to_the_scope() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(7_u32)
        }
    }
    for by_scope in [false, true] {
        for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
            let runtime = builder.enable_all().build().unwrap();
            let mut handle = None;
            let outcome = runtime.block_on(async {
                let handle = &mut handle;
                nursery!(<Supervise> async |n| -> Result<(), Cancelled> {
                    let (up, is_up) = tokio::sync::oneshot::channel();
                    let bomb = Bomb;
                    let task = sc_tokio::spawn(async move {
                        up.send(()).unwrap();
                        pending::<()>().await;
                        drop(bomb);
                    });
                    is_up.await.unwrap();
                    if by_scope {
                        n.cancel("stop");
                    } else {
                        task.abort();
                    }
                    *handle = Some(task);
                    Ok(())
                })
                .outcome()
                .await
            });
            assert_eq!(outcome.failures().len(), 1, "{outcome}");
            let panicked = runtime.block_on(handle.unwrap()).unwrap_err();
            assert_eq!(*panicked.into_panic().downcast::<u32>().unwrap(), 7);
        }
    }
}

#[test]
fn a_refused_local_task_is_counted_and_its_destructors_panic_is_told() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bomb")
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("stop");
            let bomb = Bomb;
            sc_tokio::spawn_local(async move {
                let _bomb = bomb;
            });
            pending().await
        })
        .outcome()
        .await;
        assert_eq!((outcome.report().refused, outcome.failures().len()), (1, 1));
    });
}

#[test]
fn refused_local_tasks_whose_destructors_respawn_do_not_recurse() {
    struct Chain(usize);
    impl Drop for Chain {
        fn drop(&mut self) {
            if self.0 > 0 {
                let next = Chain(self.0 - 1);
                sc_tokio::spawn_local(async move {
                    let _next = next;
                });
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("stop");
            drop(Chain(100_000));
            pending().await
        })
        .outcome()
        .await;
        assert_eq!(outcome.report().refused, 100_000);
    });
}

#[test]
fn spawn_local_works_on_a_local_set_without_a_runtime() {
    let local = tokio::task::LocalSet::new();
    let value = futures::executor::block_on(local.run_until(async { sc_tokio::spawn_local(async { 5 }).await }));
    assert_eq!(value.unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_task_is_named_also_when_something_changed_before_its_first_poll() {
    let _ = nursery!(async |n| -> Result<(), Cancelled> {
        sc_tokio::spawn(pending::<()>());
        n.spawn(pending::<()>());
        drop(n.spawn(async {}).cancel()); // a new epoch, in a grace
        for _ in 0..5 {
            yield_now().await;
        }
        assert_eq!(sc_tokio::tree().scopes[0].waiting.len(), 2);
        n.cancel("enough");
        Ok(())
    })
    .grace(Duration::from_millis(10))
    .await;
}

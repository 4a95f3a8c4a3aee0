//! The drop-in: `sc_tokio::spawn` and what code can ask without being handed a scope.

use std::future::{IntoFuture, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, Root, Supervise, nursery};
use tokio::task::{JoinHandle, yield_now};

use crate::support::{Live, both_flavours};

#[test]
fn a_task_belongs_to_the_nearest_enclosing_scope_and_is_waited_for() {
    both_flavours(|| async {
        let live = Live::new();
        nursery!(async |n| -> Result<(), Cancelled> {
            let guard = live.one();
            let _handle: JoinHandle<u8> = sc_tokio::spawn(async move {
                let _guard = guard;
                yield_now().await;
                // From inside a task: the same owner.
                sc_tokio::spawn(async { yield_now().await });
                7
            });
            assert_eq!(n.len(), 1);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn the_handle_is_tokios_own() {
    both_flavours(|| async {
        nursery!(async |_n| -> Result<(), Cancelled> {
            assert_eq!(sc_tokio::spawn(async { 5 }).await.unwrap(), 5);
            let endless = sc_tokio::spawn(pending::<()>());
            let abort = endless.abort_handle();
            assert!(!endless.is_finished() && !abort.is_finished());
            abort.abort();
            assert!(endless.await.unwrap_err().is_cancelled());
            assert_eq!(sc_tokio::spawn_blocking(|| 6).await.unwrap(), 6);
            let error: Result<(), &str> = sc_tokio::spawn(async { Err("for the holder") }).await.unwrap();
            assert_eq!(error, Err("for the holder"));
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_cancelled_scope_stops_its_tasks_and_their_handles_say_so() {
    both_flavours(|| async {
        let live = Live::new();
        let mut kept = Vec::new();
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            for _ in 0..100 {
                let guard = live.one();
                kept.push(sc_tokio::spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                }));
            }
            yield_now().await;
            n.cancel("stop");
            pending().await
        })
        .await;
        assert!(result.is_err());
        assert_eq!(live.count(), 0);
        for handle in kept {
            assert!(handle.await.unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn a_task_spawned_into_a_cancelled_scope_is_never_polled() {
    both_flavours(|| async {
        for _ in 0..100 {
            let (live, polled) = (Live::new(), Arc::new(AtomicUsize::new(0)));
            let mut kept = None;
            let outcome = nursery!(async |n| -> Result<(), Cancelled> {
                n.cancel("closed");
                let (guard, polled) = (live.one(), Arc::clone(&polled));
                kept = Some(sc_tokio::spawn(async move {
                    let _guard = guard;
                    polled.fetch_add(1, Ordering::SeqCst);
                }));
                assert_eq!(live.count(), 0);
                Ok(())
            })
            .outcome()
            .await;
            assert_eq!((outcome.report().refused, outcome.value()), (1, Some(&())), "{outcome:?}");
            assert!(kept.unwrap().await.unwrap_err().is_cancelled());
            assert_eq!(polled.load(Ordering::SeqCst), 0);
        }
    });
}

#[test]
fn a_panic_is_the_scopes_failure_and_its_payload_stays_in_the_handle() {
    both_flavours(|| async {
        let mut kept = None;
        let outcome = nursery!(async |_n| -> Result<(), Cancelled> {
            kept = Some(sc_tokio::spawn(async { panic!("ambient") }));
            pending().await
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        let Failure::Panic(panic) = &outcome.failures()[0] else { panic!("{outcome:?}") };
        assert_eq!(panic.message(), Some("ambient"));
        let payload = kept.unwrap().await.unwrap_err().into_panic();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"ambient"));
    });
}

#[test]
fn under_supervise_a_panicking_task_takes_nobody_down() {
    both_flavours(|| async {
        let outcome = nursery!(<Supervise> async |n| -> Result<u8, Cancelled> {
            let bad = sc_tokio::spawn(async { panic!("one connection") });
            assert!(bad.await.unwrap_err().is_panic());
            let good = n.spawn(async { Ok(1) });
            Ok(good.await)
        })
        .outcome()
        .await;
        assert_eq!((outcome.kind(), outcome.failures().len()), (OutcomeKind::Partial, 1));
    });
}

#[test]
fn outside_any_scope_it_works_as_tokios_and_belongs_to_the_root() {
    both_flavours(|| async {
        let root = sc_tokio::root();
        let before = root.len();
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let task = sc_tokio::spawn(finished);
        assert_eq!(root.len(), before + 1);
        finish.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert_eq!(sc_tokio::spawn_blocking(|| 1).await.unwrap(), 1);
    });
}

#[test]
fn it_works_from_a_destructor() {
    struct SpawnsOnDrop(Live);
    impl Drop for SpawnsOnDrop {
        fn drop(&mut self) {
            let guard = self.0.one();
            sc_tokio::spawn(async move {
                let _guard = guard;
                yield_now().await;
            });
        }
    }
    both_flavours(|| async {
        for cancel in [false, true] {
            let live = Live::new();
            let _ = nursery!(async |n| -> Result<(), Cancelled> {
                let spawner = SpawnsOnDrop(live.clone());
                n.spawn(async move {
                    let _spawner = spawner;
                    if cancel {
                        pending::<()>().await;
                    }
                });
                yield_now().await;
                if cancel {
                    n.cancel("stop");
                }
                Ok(())
            })
            .await;
            assert_eq!(live.count(), 0);
        }
    });
}

#[test]
fn inside_a_select_of_two_scopes_each_task_finds_its_own() {
    both_flavours(|| async {
        let (left, right) = (Live::new(), Live::new());
        let scope = |live: Live, rounds: usize| async move {
            nursery!(async |_n| -> Result<(), Cancelled> {
                for _ in 0..rounds {
                    let guard = live.one();
                    sc_tokio::spawn(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    });
                    yield_now().await;
                }
                Ok(())
            })
            .timeout(Duration::from_secs(3600))
            .await
        };
        nursery!(async |_n| -> Result<(), Cancelled> {
            tokio::select! {
                _ = scope(left.clone(), 100) => {}
                _ = scope(right.clone(), 100) => {}
                () = async { for _ in 0..50 { yield_now().await } } => {}
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!((left.count(), right.count()), (0, 0));
    });
}

#[test]
fn cancel_children_reaches_ambient_tasks() {
    both_flavours(|| async {
        nursery!(async |n| -> Result<(), Cancelled> {
            let task = sc_tokio::spawn(pending::<()>());
            yield_now().await;
            n.cancel_children("all present");
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(sc_tokio::spawn(async { 1 }).await.unwrap(), 1);
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn spawn_local_belongs_to_its_scope_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let live = Live::new();
        let shared = std::rc::Rc::new(std::cell::Cell::new(0));
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            let (guard, counter) = (live.one(), std::rc::Rc::clone(&shared));
            let done = sc_tokio::spawn_local(async move {
                counter.set(1);
                5
            });
            assert_eq!(done.await.unwrap(), 5);
            sc_tokio::spawn_local(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            yield_now().await;
            n.cancel("stop");
            pending().await
        })
        .await;
        assert!(result.is_err());
        assert_eq!((live.count(), shared.get()), (0, 1));
    });
}

#[tokio::test(start_paused = true)]
async fn deadline_and_cancellation_can_be_asked_for_by_code_nobody_passed_them_to() {
    async fn deep() -> Option<Duration> {
        yield_now().await;
        sc_tokio::remaining()
    }
    assert_eq!((deep().await, sc_tokio::deadline(), sc_tokio::is_cancelled()), (None, None, false));
    let notice = nursery!(async |n| -> Result<Cancelled, Cancelled> {
        assert_eq!(deep().await, Some(Duration::from_secs(2)));
        let task = n.spawn(async {
            assert_eq!(deep().await, Some(Duration::from_secs(2)));
            let notice = sc_tokio::cancelled().await;
            assert!(sc_tokio::is_cancelled());
            assert!(sc_tokio::checkpoint().await.is_err());
            Ok(notice)
        });
        Ok(task.await)
    })
    .timeout(Duration::from_secs(2))
    .grace(Duration::from_secs(1))
    .await;
    assert!(notice.unwrap().is_deadline());
}

#[test]
fn a_child_stopped_alone_sees_its_own_cancellation() {
    both_flavours(|| async {
        let (sender, seen) = tokio::sync::oneshot::channel();
        nursery!(async |n| -> Result<(), Cancelled> {
            let child = n.spawn(async move {
                let _ = sender.send(sc_tokio::cancelled().await.reason());
            });
            for _ in 0..5 {
                yield_now().await;
            }
            child.cancel().await;
            assert!(!sc_tokio::is_cancelled());
            Ok(())
        })
        .grace(Duration::from_secs(3600))
        .await
        .unwrap();
        assert_eq!(seen.await.unwrap(), Reason::Requested);
    });
}

#[test]
fn checkpoint_leaves_a_loop_that_never_waits() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            let stop = n.canceller();
            n.spawn(async {
                loop {
                    sc_tokio::checkpoint().await?;
                }
                #[allow(unreachable_code, reason = "gives the block its type")]
                Ok::<(), Cancelled>(())
            });
            yield_now().await;
            stop.cancel("enough");
            Ok(())
        })
        .await;
        assert!(result.is_err());
    });
}

#[tokio::test(start_paused = true)]
async fn timeout_is_a_scope_and_reports_the_ancestor_if_that_was_cancelled() {
    let live = Live::new();
    let late = sc_tokio::timeout(Duration::from_secs(1), async {
        let guard = live.one();
        sc_tokio::spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        pending::<()>().await;
    })
    .await;
    assert!(late.unwrap_err().is_deadline());
    assert_eq!(live.count(), 0, "what it started is gone with it");
    assert_eq!(sc_tokio::timeout(Duration::from_secs(1), async { 3 }).await.unwrap(), 3);
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn_with(async |n: &sc_tokio::Scope<Cancelled>| n.cancel("from above"));
        let inner = sc_tokio::timeout(Duration::from_secs(60), sc_tokio::cancelled()).await;
        assert_eq!(inner.unwrap().reason(), Reason::Requested);
        Ok(())
    })
    .grace(Duration::from_secs(5))
    .await;
    assert!(result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_shielded_task_survives_cancellation_and_drop_for_its_time() {
    let done = Arc::new(AtomicUsize::new(0));
    for (needs, drop_it) in [(1, false), (1, true), (9, false)] {
        let finished = Arc::clone(&done);
        let started = tokio::time::Instant::now();
        nursery!(async |_outer| -> Result<(), Cancelled> {
            let mut scope = Box::pin(
                nursery!(async |n| -> Result<(), Cancelled> {
                    sc_tokio::spawn_shielded(Duration::from_secs(5), async move {
                        assert!(!sc_tokio::is_cancelled());
                        tokio::time::sleep(Duration::from_secs(needs)).await;
                        finished.fetch_add(1, Ordering::SeqCst);
                    });
                    yield_now().await;
                    if !drop_it {
                        n.cancel("the client left");
                    }
                    pending().await
                })
                .into_future(),
            );
            if drop_it {
                assert!(futures::poll!(scope.as_mut()).is_pending());
                yield_now().await;
            } else {
                assert!(scope.await.is_err());
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(started.elapsed(), Duration::from_secs(needs.min(5)), "it stays attached, and is bounded");
    }
    assert_eq!(done.load(Ordering::SeqCst), 2);
}

#[test]
fn root_spawn_outlives_the_request_and_a_detached_task_is_listed() {
    both_flavours(|| async {
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let mut kept = None;
        let _: Result<(), Cancelled> = nursery!(async |n| {
            kept = Some(sc_tokio::root().spawn(async move {
                assert!(!sc_tokio::is_cancelled());
                finished.await
            }));
            n.cancel("the request is over");
            Ok(())
        })
        .await;
        assert!(!kept.as_ref().unwrap().is_finished());
        finish.send(()).unwrap();
        kept.unwrap().await.unwrap().unwrap();
        let why = "listed while it lives";
        let detached = sc_tokio::spawn_detached(why, pending::<()>());
        assert!(sc_tokio::tree().to_string().contains(why));
        detached.abort();
        assert!(detached.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn the_tree_shows_scopes_children_and_what_they_wait_for() {
    both_flavours(|| async {
        nursery!(async |n| -> Result<(), Cancelled> {
            n.task().name("waiting").spawn(pending::<()>());
            sc_tokio::spawn(pending::<()>());
            yield_now().await;
            nursery!(async |_inner| -> Result<(), Cancelled> {
                let tree = sc_tokio::tree();
                let names: Vec<_> = tree.scopes.iter().map(|s| (s.depth, s.name.as_deref())).collect();
                let outer = tree.scopes.iter().find(|s| s.name.as_deref() == Some("outer")).unwrap();
                assert_eq!(outer.children, 2);
                assert_eq!(outer.tasks.len(), 1);
                assert!(names.contains(&(outer.depth + 1, Some("inner"))), "{names:?}");
                Ok(())
            })
            .named("inner")
            .await?;
            while !sc_tokio::tree().to_string().contains("child `waiting`") {
                yield_now().await;
            }
            n.cancel_children("seen");
            Ok(())
        })
        .named("outer")
        .await
        .unwrap();
    });
}

#[test]
fn a_root_ends_its_tasks_when_main_returns_and_names_where_they_were_spawned() {
    both_flavours(|| async {
        let live = Live::new();
        let ended = Root::new()
            .run(async {
                let guard = live.one();
                sc_tokio::spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                // Outside any frame, on a task of Tokio's own: the root's as well.
                let guard = live.one();
                tokio::task::spawn(async move {
                    sc_tokio::spawn(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    });
                })
                .await
                .unwrap();
                "done"
            })
            .await;
        assert_eq!((ended.value(), live.count()), (Some(&"done"), 0));
        assert_eq!(ended.left_behind().len(), 2);
        assert!(ended.left_behind().iter().all(|place| place.file().ends_with("ambient.rs")));
    });
}

#[test]
fn a_root_survives_a_panicking_task_and_leaves_nothing_when_there_was_nothing() {
    both_flavours(|| async {
        let ended = Root::new()
            .run(async {
                let bad = sc_tokio::spawn(async { panic!("one connection") });
                assert!(bad.await.unwrap_err().is_panic());
                3
            })
            .await;
        assert!(ended.left_behind().is_empty());
        assert_eq!(ended.into_value(), Some(3));
    });
}

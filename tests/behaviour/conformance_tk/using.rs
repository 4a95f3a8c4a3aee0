//! Spawning, starting, joining, supervising, blocking, looking: what users do with a scope.

use std::future::{Pending, pending};
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};

use futures::FutureExt;
use futures::future::{BoxFuture, LocalBoxFuture, join_all};
use sc_tokio::{
    Cancelled, Child, Failure, Limit, OutcomeKind, Ready, Reason, Scope, Supervise, join, nursery, scope, timeout,
    timeout_at,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::{HOUR, SECOND};
use crate::support::{Live, Log, Watchdog, both_flavours, hooked};

fn endless_group() -> [Pending<Result<(), Cancelled>>; 2] {
    [pending(), pending()]
}

/// Everything that opens a scope, around code that waits for ever.
fn openers() -> Vec<(&'static str, LocalBoxFuture<'static, Result<(), Cancelled>>)> {
    let nursery = nursery!(async |_n| -> Result<(), Cancelled> { pending().await });
    let scope = scope(async |_s: &Scope<Cancelled>| pending::<Result<(), Cancelled>>().await);
    let settle = async {
        match join::settle(endless_group()).await.into_iter().next() {
            Some(Err(Failure::Cancelled(why))) => Err(why),
            other => panic!("{other:?}"),
        }
    };
    let first_ok = async {
        let lost = join::first_ok(endless_group()).await.unwrap_err();
        Err(lost.as_cancelled().expect("nobody failed").clone())
    };
    let quorum = async {
        let lost = join::quorum(1, endless_group()).await.unwrap_err();
        Err(lost.as_cancelled().expect("nobody failed").clone())
    };
    vec![
        ("nursery", nursery.into_future().boxed_local()),
        ("scope", scope.into_future().boxed_local()),
        ("timeout", timeout(HOUR, pending::<()>()).boxed_local()),
        ("timeout_at", async { timeout_at(Instant::now() + HOUR, pending::<()>()).await }.boxed_local()),
        ("all", async { join::all(endless_group()).await.map(drop) }.boxed_local()),
        ("all, parallel", async { join::all(endless_group()).parallel().await.map(drop) }.boxed_local()),
        ("map", async { join::map(0..2_u8, |_| pending::<Result<(), Cancelled>>()).await.map(drop) }.boxed_local()),
        ("for_each", async { join::for_each(0..2_u8, |_| pending::<Result<(), Cancelled>>()).await }.boxed_local()),
        ("settle", settle.boxed_local()),
        ("first_ok", first_ok.boxed_local()),
        ("quorum", quorum.boxed_local()),
    ]
}

// TK-SP-05
#[tokio::test(start_paused = true)]
async fn whatever_is_opened_in_a_cancelled_scope_gives_the_cancellation_and_never_hangs() {
    for (name, opened) in openers() {
        let start = Instant::now();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("before");
            opened.await
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Cancelled, "{name}: {outcome:?}");
        assert_eq!(outcome.cancelled().map(Cancelled::reason), Some(Reason::Requested), "{name}");
        // An error made from the notice is kept, as every other (P4).
        assert!(outcome.failures().iter().all(|failure| failure.to_string().contains("before")), "{name}: {outcome:?}");
        assert!(start.elapsed().is_zero(), "{name}");
    }
}

// TK-SP-13
#[tokio::test]
async fn the_task_that_carries_a_dropped_scope_to_its_end_is_nobodys_child() {
    nursery!(async |n| -> Result<(), Cancelled> {
        let (open, gate) = oneshot::channel::<()>();
        let inner = nursery!(async |inner| -> Result<(), Cancelled> {
            inner.defer(async move |_end| drop(gate.await));
            pending().await
        });
        let mut inner = Box::pin(inner.into_future());
        assert!(futures::poll!(inner.as_mut()).is_pending());
        drop(inner);
        for _ in 0..10 {
            yield_now().await;
        }
        let tree = sc_tokio::tree();
        assert_eq!((n.len(), tree.scopes.len()), (0, 2), "the dropped one is being finalized: {tree}");
        assert!(tree.scopes.iter().all(|scope| scope.children == 0 && scope.tasks.is_empty()), "{tree}");
        open.send(()).unwrap();
        Ok(())
    })
    .await
    .unwrap();
}

// TK-ST-10
#[tokio::test]
async fn a_start_whose_callers_scope_fails_stops_the_child_and_not_the_scope_it_was_started_in() {
    let live = Live::new();
    let guard = live.one();
    let outcome = nursery!(async |outer| -> Result<u8, String> {
        let inner = nursery!(async |inner| -> Result<(), String> {
            let started = outer.start(async move |_ready: Ready<()>| -> Result<(), String> {
                let _guard = guard;
                pending().await
            });
            inner.spawn(async { Err::<(), _>(String::from("of the caller's sibling")) });
            drop(started.await);
            unreachable!("the caller is dropped while it waits")
        });
        assert_eq!(inner.outcome().await.failures().len(), 1);
        assert!(!outer.is_cancelled());
        while live.count() > 0 {
            yield_now().await;
        }
        Ok(7)
    })
    .outcome()
    .await;
    assert_eq!((outcome.kind(), outcome.value()), (OutcomeKind::Ok, Some(&7)), "{outcome:?}");
}

// TK-HR-07
#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_for_children_stops_at_once_and_leaves_them_alone() {
    let (log, start) = (Log::new(), Instant::now());
    nursery!(async |n| -> Result<(), Cancelled> {
        let children = ["one", "another"].map(|name| {
            let log = log.clone();
            n.spawn(async move {
                sleep(5 * SECOND).await;
                log.add(name);
            })
        });
        let both = join_all(children.map(Child::join));
        assert!(tokio::time::timeout(SECOND, both).await.is_err());
        log.add(format!("gave up after {:?}", start.elapsed()));
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(log.entries()[0], "gave up after 1s");
    assert_eq!((log.entries().len(), start.elapsed()), (3, 5 * SECOND));
}

/// A waker that does nothing but be counted.
struct Quiet;

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {}
}

// TK-HR-17, TK-LK-05
#[tokio::test]
async fn a_thousand_waiters_that_gave_up_leave_nothing_behind() {
    let quiet = Arc::new(Quiet);
    let waker = Waker::from(Arc::clone(&quiet));
    nursery!(async |n| -> Result<(), Cancelled> {
        let permit = n.reserve().await?; // the only one there is
        let (mut told, mut seated) = (Vec::new(), Vec::new());
        for _ in 0..1000 {
            told.push(Box::pin(n.cancelled()));
            seated.push(Box::pin(n.reserve()));
        }
        let mut cx = Context::from_waker(&waker);
        assert!(told.iter_mut().all(|waiter| waiter.as_mut().poll(&mut cx).is_pending()));
        assert!(seated.iter_mut().all(|waiter| waiter.as_mut().poll(&mut cx).is_pending()));
        assert!(Arc::strong_count(&quiet) > 2000, "each of them is on a list");
        drop((told, seated));
        assert_eq!(Arc::strong_count(&quiet), 2);
        drop(permit);
        Ok(())
    })
    .limit(1)
    .await
    .unwrap();
}

// TK-SV-03
#[test]
fn a_supervised_child_that_fails_in_its_cleanup_is_told_to_the_hook_and_no_part_of_the_bodys_error() {
    let told = hooked("of the cleanup", || {
        both_flavours(|| async {
            let result = nursery!(<Supervise> async |n| -> Result<(), String> {
                n.spawn_with(async |n: &Scope<String>| {
                    n.cancelled().await;
                    Err::<(), _>(String::from("of the cleanup"))
                });
                yield_now().await;
                Err(String::from("of the body"))
            })
            .grace(60 * SECOND)
            .map_cancelled(|cancelled| cancelled.to_string())
            .await;
            assert_eq!(result.unwrap_err(), "of the body");
        });
    });
    assert_eq!(told.len(), 2, "once per flavour (P4): {told:?}");
}

// TK-SV-04
#[test]
fn a_supervisor_that_fails_itself_fails_the_scope_around_it() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), String> {
            n.spawn(async {
                let supervisor = nursery!(<Supervise> async |supervisor| -> Result<(), String> {
                    let failed = supervisor.spawn(async { Err::<(), _>(String::from("of a child")) });
                    assert!(failed.join().await.is_err() && !supervisor.is_cancelled());
                    assert_eq!(supervisor.spawn(async { Ok(1) }).await, 1, "it is open for more");
                    Err(String::from("gave up"))
                });
                supervisor.map_cancelled(|cancelled| cancelled.to_string()).await
            });
            pending().await
        })
        .outcome()
        .await;
        assert!(matches!(outcome.failures(), [Failure::Error(error)] if error == "gave up"), "{outcome:?}");
    });
}

// TK-SV-05
#[test]
fn the_hook_is_not_told_of_cancellations() {
    let told = hooked("a mere cancellation", || {
        both_flavours(|| async {
            let live = Live::new();
            for supervised in [false, true] {
                let scope = nursery!(async |n| -> Result<(), Cancelled> {
                    for _ in 0..10 {
                        let (child, task) = (live.one(), live.one());
                        n.spawn(async move {
                            let _child = child;
                            pending::<()>().await;
                        });
                        sc_tokio::spawn(async move {
                            let _task = task;
                            pending::<()>().await;
                        });
                    }
                    yield_now().await;
                    n.cancel("a mere cancellation");
                    pending().await
                });
                let scope = if supervised { scope.policy(Supervise) } else { scope };
                assert!(scope.await.unwrap_err().to_string().ends_with("a mere cancellation"));
                assert_eq!(live.count(), 0);
            }
        });
    });
    assert!(told.is_empty(), "{told:?}");
}

// TK-SV-08
#[test]
fn an_isolated_daemon_that_fails_stops_nobody_and_is_reported_at_the_end() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<u8, String> {
            let daemon = n.task().name("heartbeat").daemon().isolated();
            let daemon = daemon.spawn(async { Err::<(), _>(String::from("no pulse")) });
            while !daemon.is_finished() {
                yield_now().await;
            }
            let child = n.spawn(async { Ok(7) });
            Ok(child.await)
        })
        .outcome()
        .await;
        assert_eq!((outcome.kind(), outcome.value()), (OutcomeKind::Partial, Some(&7)), "{outcome:?}");
        assert_eq!(outcome.report().failed_members[0].name(), Some("heartbeat"));
    });
}

// TK-TH-06
#[test]
fn blocking_code_that_runs_on_after_its_cancellation_keeps_its_seat() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        let (release, gate) = mpsc::channel::<()>();
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            let (started, running) = oneshot::channel();
            n.spawn_blocking(move |_cx| {
                started.send(()).unwrap();
                let _ = gate.recv();
            });
            running.await.unwrap();
            n.cancel("stop");
            assert_eq!(limit.available(), 0, "it runs");
            release.send(()).unwrap();
            Ok(())
        })
        .limit(&limit)
        .await;
        assert!(result.is_ok(), "it ran to its end");
        assert_eq!(limit.available(), 1);
    });
}

fn two_workers() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

// TK-TH-07
#[test]
fn a_scope_that_blocking_code_opens_is_cancelled_with_the_scope_of_that_code() {
    let _watchdog = Watchdog::start();
    let why = two_workers().block_on(async {
        nursery!(async |n| -> Result<Cancelled, Cancelled> {
            let (opened, open) = oneshot::channel();
            let blocking = n.spawn_blocking(move |_cx| {
                Handle::current().block_on(async {
                    let inner = nursery!(async |inner| -> Result<Cancelled, Cancelled> {
                        opened.send(()).unwrap();
                        Ok(inner.cancelled().await)
                    });
                    inner.await
                })
            });
            open.await.unwrap();
            n.cancel("from above");
            Ok(blocking.await)
        })
        .grace(HOUR)
        .await
    });
    let why = why.unwrap();
    assert!(why.is_inherited() && why.to_string().ends_with("from above, inherited"), "{why}");
}

/// From a task to a thread, into a scope there, and on, so many times.
fn bounce(times: u32) -> BoxFuture<'static, Result<u32, Cancelled>> {
    Box::pin(async move {
        if times == 0 {
            return Ok(0);
        }
        nursery!(async move |n| -> Result<u32, Cancelled> {
            let below = n.spawn_blocking(move |_cx| Handle::current().block_on(bounce(times - 1)));
            Ok(below.await + 1)
        })
        .await
    })
}

// TK-TH-10
#[test]
fn tasks_that_bounce_between_threads_and_the_runtime_do_not_deadlock() {
    let _watchdog = Watchdog::start();
    let sum = two_workers().block_on(async {
        nursery!(async |n| -> Result<u32, Cancelled> {
            let children: Vec<_> = (0..20).map(|_| n.spawn(bounce(8))).collect();
            Ok(join_all(children).await.into_iter().sum())
        })
        .timeout(HOUR)
        .await
    });
    assert_eq!(sum.unwrap(), 160);
}

// TK-OB-04, TK-OB-05, TK-OB-11
#[tokio::test(start_paused = true)]
async fn the_tree_has_a_line_for_each_scope_with_its_state_children_and_time_left() {
    nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.task().name("fetch").spawn(async {
            yield_now().await;
            Ok(())
        });
        nursery!(async |_part| -> Result<(), Cancelled> {
            let tree = sc_tokio::tree().to_string();
            let lines: Vec<_> = tree.lines().collect();
            assert!(lines[0].starts_with("page (") && lines[0].ends_with(") Open, 1 children, 5s left"), "{tree}");
            assert!(lines[1].starts_with("  - child `fetch` ("), "{tree}");
            assert!(lines[2].starts_with("  part (") && lines[2].ends_with(") Open, 0 children, 2s left"), "{tree}");
            Ok(())
        })
        .named("part")
        .timeout(2 * SECOND)
        .await?;
        child.await;
        while !n.is_empty() {
            yield_now().await;
        }
        let tree = sc_tokio::tree().to_string();
        assert!(tree.lines().next().is_some_and(|line| line.ends_with(") Open, 0 children, 5s left")), "{tree}");
        assert!(!tree.contains("child `fetch`") && !tree.contains("part ("), "what has ended is not in it: {tree}");
        Ok(())
    })
    .named("page")
    .timeout(5 * SECOND)
    .await
    .unwrap();
}

// TK-OB-11
#[test]
fn a_scope_can_be_printed_from_within() {
    both_flavours(|| async {
        let scope = nursery!(async |n| -> Result<String, Cancelled> { Ok(format!("{n:?}")) });
        let printed = scope.named("page").await.unwrap();
        assert!(printed.contains("page") && printed.contains("Open"), "{printed}");
    });
}

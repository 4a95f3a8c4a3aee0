//! The beginning of a shutdown, which is not a cancellation.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, Nursery, OutcomeKind, Reason, Root, Scope, nursery};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::own_grace::dropped_at;
use crate::support::{Live, Log, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_shutdown_stops_those_who_run_until_then_and_nobody_else() {
    both_flavours(|| async {
        let shutdown = async {
            let root = sc_tokio::root();
            let (began, mut listening) = tokio::sync::mpsc::unbounded_channel::<()>();
            let outcome = nursery!(async |n| -> Result<&'static str, Cancelled> {
                let accept = n.task().name("accept").until_shutdown().spawn(async move {
                    began.send(()).unwrap();
                    pending::<()>().await;
                });
                let (go, gate) = oneshot::channel::<()>();
                let rest = n.spawn(async move {
                    sc_tokio::shutting_down().await;
                    let _ = gate.await;
                    Ok("finished")
                });
                listening.recv().await.unwrap();
                assert!(!sc_tokio::is_shutting_down() && !root.is_shutting_down());
                root.begin_shutdown();
                root.begin_shutdown();
                assert!(sc_tokio::is_shutting_down() && root.is_shutting_down());
                let why = accept.join().await;
                assert!(matches!(why, Err(Failure::Cancelled(why)) if why.reason() == Reason::Shutdown));
                assert!(!n.is_cancelled() && !sc_tokio::is_cancelled());
                go.send(()).unwrap();
                Ok(rest.await)
            })
            .outcome()
            .await;
            assert_eq!((outcome.kind(), outcome.report().cancelled), (OutcomeKind::Ok, 1));
            assert_eq!(outcome.into_value(), Some("finished"));
            sc_tokio::shutting_down().await; // at once, from now on
        };
        Root::new().run(shutdown).await.into_value().unwrap();
        assert!(!sc_tokio::is_shutting_down(), "the root is gone, and its shutdown with it");
    });
}

#[test]
fn who_is_started_after_the_shutdown_began_never_runs() {
    both_flavours(|| async {
        let late = async {
            sc_tokio::root().begin_shutdown();
            let (text, live) = (String::new(), Live::new());
            let outcome = nursery!(async |n| -> Result<(), Cancelled> {
                let guard = live.one();
                let task = || n.task().until_shutdown();
                let child = task().spawn(async move {
                    let _guard = guard;
                    unreachable!("it is not polled");
                });
                let ended = child.join().await;
                assert!(matches!(ended, Err(Failure::Cancelled(why)) if why.reason() == Reason::Shutdown));
                assert_eq!(live.count(), 0);
                assert!(task().spawn_blocking(|_| unreachable!("nor this")).join().await.is_err());
                assert!(task().daemon().spawn(async { unreachable!("nor this") }).join().await.is_err());
                assert!(task().spawn_borrowed(async { unreachable!("nor this: {text}") }).join().await.is_err());
                n.spawn(async { Ok(()) }).await; // the scope is open
                Ok(())
            })
            .outcome()
            .await;
            assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome:?}");
        };
        Root::new().run(late).await.into_value().unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn a_child_that_a_shutdown_stops_has_its_own_grace() {
    let (log, start) = (Log::new(), Instant::now());
    let run = async {
        nursery!(async |n| -> Result<(), Cancelled> {
            n.task().until_shutdown().spawn(dropped_at(&log, "the scope's", start));
            n.task().until_shutdown().grace(3 * SECOND).spawn(dropped_at(&log, "its own", start));
            n.task().until_shutdown().grace(2 * SECOND).daemon().spawn(dropped_at(&log, "daemon", start));
            tokio::task::yield_now().await;
            sc_tokio::root().begin_shutdown();
            sleep(10 * SECOND).await;
            Ok(())
        })
        .grace(SECOND)
        .await
    };
    Root::new().run(run).await.into_value().unwrap().unwrap();
    assert_eq!(log.entries(), ["the scope's 1", "daemon 2", "its own 3"]);
    assert_eq!(start.elapsed(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_is_cancelled_already_keeps_its_reason() {
    let (sender, told) = oneshot::channel();
    let run = async {
        nursery!(async |n| -> Result<(), Cancelled> {
            n.task().until_shutdown().spawn(async move {
                sc_tokio::cancelled().await;
                sleep(SECOND).await;
                let _ = sender.send(sc_tokio::cancelled().await.reason());
            });
            tokio::task::yield_now().await;
            n.cancel("stop");
            sc_tokio::root().begin_shutdown();
            pending().await
        })
        .grace(2 * SECOND)
        .await
    };
    assert!(Root::new().run(run).await.into_value().unwrap().is_err());
    assert_eq!(told.await, Ok(Reason::Requested));
}

#[tokio::test]
async fn without_a_root_of_the_programs_there_is_no_shutdown() {
    assert!(!sc_tokio::is_shutting_down());
    let refused = std::panic::catch_unwind(|| sc_tokio::root().begin_shutdown()).unwrap_err();
    assert!(refused.downcast_ref::<&str>().unwrap().contains("run the program with `#[sc_tokio::main]`"));
    nursery!(async |n| -> Result<(), Cancelled> {
        n.task().until_shutdown().spawn(async { Ok(()) }).await;
        Ok(())
    })
    .await
    .unwrap();
}

/// P9: the scope's driver is parked, and has to learn that there is a grace to be timed.
#[tokio::test(start_paused = true)]
async fn who_is_started_late_by_a_sibling_is_dropped_at_the_end_of_its_grace() {
    for own in [false, true] {
        let started = Instant::now();
        let program = nursery!(async |n: &Nursery<'_, Cancelled>| {
            n.spawn_with(async move |n: &Scope<Cancelled>| {
                sleep(SECOND).await;
                sc_tokio::root().begin_shutdown();
                let task = n.task().until_shutdown();
                let task = if own { task.grace(2 * SECOND) } else { task };
                task.spawn(pending::<()>());
            });
            Ok(())
        })
        .grace(2 * SECOND)
        .warn_after(Duration::MAX);
        let program = Root::new().run(program.into_future());
        let outcome = tokio::time::timeout(100 * SECOND, program).await.expect("it is dropped");
        assert!(outcome.into_value().unwrap().is_ok(), "a stop from inside is no failure");
        assert_eq!(started.elapsed(), 3 * SECOND, "own grace: {own}");
    }
}

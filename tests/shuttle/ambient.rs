//! Tasks with Tokio's own handles, the roots they may belong to, and the beginning of a shutdown (P1, P7, P9).

use std::future::pending;

use sc_tokio::explored::preempt;
use sc_tokio::{Cancelled, OutcomeKind, Reason, Root, Scope, scope};

use crate::spawning::Late;
use crate::support::{Flag, Live, Seen, block_on, cancel_some_time, explore, explore_more, linger, outside, pause};

/// A daemon spawns without a scope in its hands, while the last ordinary child exits.
pub(crate) fn ambient_spawn_at_the_end(seen: &Seen) {
    let (late, spawned) = (Late::default(), Flag::default());
    let outcome = block_on(
        scope(async |s: &Scope<Cancelled>| {
            let (late, spawned) = (late.clone(), spawned.clone());
            drop(s.task().daemon().spawn(async move {
                drop(sc_tokio::spawn(late.code()));
                spawned.raise();
            }));
            drop(s.spawn(async {}));
            Ok(())
        })
        .outcome(),
    );
    assert_eq!(outcome.kind(), OutcomeKind::Ok);
    seen.saw(late.judge_ambient(spawned.is_up()));
}

#[test]
fn an_ambient_spawn_that_meets_the_end_of_the_scope_runs_or_is_refused() {
    explore(&["accepted", "refused", "not spawned"], ambient_spawn_at_the_end);
}

/// A task is spawned while its scope is cancelled. Not on the list of those to abort in time, it would stay.
pub(crate) fn ambient_spawn_against_cancel(seen: &Seen) {
    let live = Live::default();
    let (before, cancelled) = block_on(async {
        let (mut canceller, mut handle) = (None, None);
        let mut before = false;
        let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
            canceller = Some(cancel_some_time(s.canceller()));
            linger().await;
            let alive = live.value();
            handle = Some(sc_tokio::spawn(async move {
                let _alive = alive;
                pending::<()>().await;
            }));
            before = !s.is_cancelled();
            Ok(())
        })
        .await;
        assert_eq!(live.count(), 0, "P1");
        assert!(result.is_err() || handle.is_none(), "it was cut short");
        canceller.expect("the body ran").await.unwrap();
        let cancelled = match handle {
            Some(handle) => Some(handle.await.expect_err("it does not end by itself").is_cancelled()),
            None => None,
        };
        (before, cancelled)
    });
    assert_ne!(cancelled, Some(false), "its handle says that it was cancelled");
    seen.saw(match (cancelled, before) {
        (None, _) => "the body was cut first",
        (_, true) => "stopped",
        (_, false) => "spawned late",
    });
}

#[test]
fn an_ambient_spawn_that_meets_a_cancellation_is_stopped_or_refused() {
    explore(&["stopped", "spawned late", "the body was cut first"], ambient_spawn_against_cancel);
}

#[test]
fn an_ambient_task_aborted_while_its_scope_is_cancelled_ends_once() {
    explore(&["finished", "aborted", "cancelled"], |seen: &Seen| {
        let (live, finished) = (Live::default(), Flag::default());
        let (ended, outcome) = block_on(async {
            let (mut canceller, mut aborter) = (None, None);
            let outcome = scope(async |s: &Scope<Cancelled>| {
                let (alive, finish) = (live.value(), finished.clone());
                let handle = sc_tokio::spawn(async move {
                    let _alive = alive;
                    linger().await;
                    finish.raise();
                });
                canceller = Some(cancel_some_time(s.canceller()));
                aborter = Some(outside(async move {
                    linger().await;
                    handle.abort();
                    handle.await.is_ok()
                }));
                Ok(())
            })
            .outcome()
            .await;
            assert_eq!(live.count(), 0, "P1");
            canceller.expect("the body ran").await.unwrap();
            (aborter.expect("the body ran").await.unwrap(), outcome)
        });
        assert!(outcome.failures().is_empty());
        assert!(!ended || finished.is_up(), "the handle gives an output only if there is one");
        seen.saw(match (finished.is_up(), outcome.kind()) {
            (true, _) => "finished",
            (false, OutcomeKind::Cancelled) => "cancelled",
            (false, OutcomeKind::Ok) => "aborted",
            other => unreachable!("{other:?}"),
        });
    });
}

/// A closure that may still be in the queue for a thread, as its scope is cancelled.
pub(crate) fn queued_closure_against_cancel(seen: &Seen) {
    let (live, ran) = (Live::default(), Flag::default());
    let got = block_on(async {
        let (mut canceller, mut handle) = (None, None);
        let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
            canceller = Some(cancel_some_time(s.canceller()));
            let (alive, run) = (live.value(), ran.clone());
            handle = Some(sc_tokio::spawn_blocking(move || {
                run.raise();
                preempt();
                drop(alive);
                7
            }));
            Ok(())
        })
        .await;
        assert_eq!(live.count(), 0, "P1: whether it ran or not");
        assert_eq!(result.is_ok(), ran.is_up(), "cut short, or not");
        canceller.expect("the body ran").await.unwrap();
        handle.expect("the body ran").await.ok()
    });
    assert!(got.is_none() || ran.is_up());
    seen.saw(match (got, ran.is_up()) {
        (Some(_), _) => "ran",
        (None, true) => "ran, and its output was lost",
        (None, false) => "never ran",
    });
}

#[test]
fn a_queued_closure_that_meets_a_cancellation_runs_or_is_dropped() {
    explore(&["ran", "never ran"], queued_closure_against_cancel);
}

/// The shutdown begins while a child is spawned that is to go then. Missed, it would keep the program from ending.
pub(crate) fn shutdown_against_spawn(seen: &Seen) {
    let (live, begun, polled) = (Live::default(), Flag::default(), Flag::default());
    let before = block_on(async {
        let (live, begun, polled) = (live.clone(), begun.clone(), polled.clone());
        let program = async move {
            let root = sc_tokio::root();
            let begin = begun.clone();
            let rival = outside(async move {
                linger().await;
                root.begin_shutdown();
                // Only now: who is spawned between the two is polled, and stopped.
                begin.raise();
            });
            let mut before = false;
            let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                linger().await;
                let (alive, poll) = (live.value(), polled.clone());
                let child = s.task().until_shutdown().spawn(async move {
                    let _alive = alive;
                    poll.raise();
                    pending::<()>().await;
                });
                before = !begun.is_up();
                let listening = s.spawn(sc_tokio::shutting_down());
                let end = child.join().await.expect_err("it does not end by itself");
                assert_eq!(end.as_cancelled().map(Cancelled::reason), Some(Reason::Shutdown));
                listening.await;
                Ok(())
            })
            .await;
            assert!(result.is_ok(), "a shutdown is no cancellation: {result:?}");
            assert_eq!(live.count(), 0, "P1");
            rival.await.unwrap();
            before
        };
        Root::new().run(program).await.into_value().expect("nothing cuts it short")
    });
    seen.saw(match (before, polled.is_up()) {
        (true, _) => "stopped",
        (false, true) => "polled all the same",
        (false, false) => "spawned meanwhile",
    });
}

#[test]
fn a_child_spawned_while_the_shutdown_begins_is_stopped() {
    explore(&["stopped", "spawned meanwhile"], shutdown_against_spawn);
}

/// Tasks outside any scope find the implicit root of their runtime, or open it, and keep it open.
#[test]
fn an_implicit_root_is_opened_once_while_it_is_needed() {
    explore_more(1, &["open all along", "opened again"], |seen: &Seen| {
        let live = Live::default();
        let again = block_on(async {
            let tasks = [(), (), ()].map(|()| {
                let live = live.clone();
                outside(async move {
                    linger().await;
                    let alive = live.value();
                    let root = sc_tokio::root();
                    let task = root.spawn(async move {
                        pause().await;
                        let id = sc_tokio::current().expect("it belongs to the root").id();
                        drop(alive);
                        id
                    });
                    task.await.expect("nobody aborts it")
                })
            });
            let mut ids = Vec::new();
            for task in tasks {
                ids.push(task.await.unwrap());
            }
            ids.sort_unstable();
            ids.dedup();
            ids.len() > 1
        });
        assert_eq!(live.count(), 0);
        seen.saw(if again { "opened again" } else { "open all along" });
    });
}

//! A child's attributes: `task()`. Who waits for it, whose failure it is, how long it may take, when it is stopped.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sc_tokio::{
    BlockingCx, Cancelled, Child, Failure, OutcomeKind, Reason, Root, Scope, Supervise, Verdict, nursery, policy_fn,
};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::support::{Live, Log, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

// A deadline of its own.

#[tokio::test(start_paused = true)]
async fn a_missed_timeout_ends_a_fail_fast_scope_with_that_deadline_and_names_the_child() {
    let (start, live) = (Instant::now(), Live::new());
    let guard = live.one();
    let line = line!() + 2;
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.task().name("fetch").timeout(SECOND).spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        n.spawn(sleep(60 * SECOND));
        pending().await
    })
    .named("page")
    .outcome()
    .await;
    assert_eq!((start.elapsed(), live.count()), (SECOND, 0));
    assert_eq!(outcome.kind(), OutcomeKind::DeadlineExceeded);
    let cancelled = outcome.cancelled().unwrap();
    assert_eq!((cancelled.reason(), cancelled.is_inherited()), (Reason::Deadline, false));
    assert_eq!(cancelled.culprit().unwrap().name(), Some("fetch"));
    let (message, place) = (cancelled.to_string(), format!("attributes.rs:{line}:"));
    assert!(message.starts_with("deadline of 1s of child `fetch` (") && message.contains(&place), "{message}");
    assert!(message.contains("expired in scope `page`"), "{message}");
    assert_eq!((outcome.report().failed, outcome.report().cancelled), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn under_supervise_and_for_isolated_children_a_missed_timeout_goes_to_whoever_joins() {
    let outcome = nursery!(async |n| -> Result<(), String> {
        let joined = n.task().name("joined").timeout(SECOND).spawn(pending::<()>());
        n.task().name("unread").timeout(2 * SECOND).spawn(pending::<()>());
        match joined.join().await {
            Err(Failure::Cancelled(cancelled)) => {
                assert!(cancelled.is_deadline() && !cancelled.is_inherited());
                assert_eq!(cancelled.origin().name(), Some("joined"));
                assert!(cancelled.origin().place().file().ends_with("attributes.rs"));
            }
            other => panic!("{other:?}"),
        }
        assert!(!n.is_cancelled());
        Ok(())
    })
    .policy(Supervise)
    .outcome()
    .await;
    assert_eq!(outcome.kind(), OutcomeKind::Partial, "{outcome:?}");
    assert!(matches!(outcome.failures(), [Failure::Cancelled(late)] if late.origin().name() == Some("unread")));

    let isolated = nursery!(async |n| -> Result<bool, String> {
        let child = n.task().isolated().timeout(SECOND).spawn(pending::<()>());
        Ok(matches!(child.join().await, Err(Failure::Cancelled(late)) if late.is_deadline()))
    })
    .outcome()
    .await;
    assert_eq!((isolated.kind(), isolated.into_value()), (OutcomeKind::Ok, Some(true)));
}

#[tokio::test(start_paused = true)]
async fn a_policy_judges_a_missed_timeout_as_any_failure() {
    for (verdict, kind) in [(Verdict::Continue, OutcomeKind::Partial), (Verdict::Cancel, OutcomeKind::DeadlineExceeded)]
    {
        let outcome = nursery!(async |n| -> Result<(), String> {
            n.task().timeout(SECOND).spawn(pending::<()>());
            Ok(())
        })
        .policy(policy_fn(move |_: &sc_tokio::ChildExit<'_, String>| verdict))
        .outcome()
        .await;
        assert_eq!(outcome.kind(), kind, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_child_that_is_a_future_can_have_a_timeout() {
    let text = String::from("outside");
    for kind in 0..4 {
        let start = Instant::now();
        let outcome = nursery!(async |n| -> Result<(), String> {
            let task = n.task().timeout(SECOND);
            match kind {
                0 => drop(task.spawn(pending::<()>())),
                1 => drop(task.spawn_with(async |_: &Scope<String>| pending::<()>().await)),
                2 => drop(task.spawn_borrowed(async {
                    sleep(u32::try_from(text.len()).unwrap() * SECOND).await;
                })),
                _ => {
                    drop(task.daemon().spawn(pending::<()>()));
                    sleep(5 * SECOND).await;
                }
            }
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!((start.elapsed(), outcome.kind()), (SECOND, OutcomeKind::DeadlineExceeded), "kind {kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn values_errors_and_panics_in_time_are_the_childs_own() {
    let value = nursery!(async |n| -> Result<u8, String> {
        let child = n.task().timeout(SECOND).spawn(async {
            sleep(SECOND / 2).await;
            Ok(7)
        });
        Ok(child.await)
    })
    .outcome()
    .await;
    assert_eq!(value.into_value(), Some(7));
    let failed = nursery!(async |n| -> Result<(), String> {
        n.task().timeout(SECOND).spawn(async { Err::<(), _>(String::from("its error")) });
        Ok(())
    })
    .outcome()
    .await;
    assert!(matches!(failed.failures(), [Failure::Error(error)] if error == "its error"));
    let panicked = nursery!(async |n| -> Result<(), String> {
        n.task().name("loud").timeout(SECOND).spawn(async {
            sleep(SECOND / 2).await;
            assert_eq!(sc_tokio::deadline(), None, "its panic");
        });
        Ok(())
    })
    .outcome()
    .await;
    assert!(matches!(panicked.failures(), [Failure::Panic(panic)] if panic.message().unwrap().contains("its panic")));
    assert_eq!(panicked.report().failed_members[0].name(), Some("loud"));
}

#[tokio::test(start_paused = true)]
async fn inside_the_deadline_is_seen_and_what_is_spawned_there_ends_with_it() {
    let (start, live) = (Instant::now(), Live::new());
    let guard = live.one();
    let outcome = nursery!(async |n| -> Result<(), String> {
        let child = n.task().isolated().timeout(SECOND).spawn(async move {
            assert_eq!(sc_tokio::deadline(), Some(start + SECOND));
            assert_eq!(sc_tokio::current().unwrap().place().line(), line!() - 2);
            sc_tokio::spawn(async move {
                let _guard = guard;
                assert_eq!(sc_tokio::remaining(), Some(SECOND));
                pending::<()>().await;
            });
        });
        assert_eq!(n.deadline(), None);
        assert!(child.join().await.is_err(), "what it spawned did not end in time");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!((outcome.is_ok(), start.elapsed(), live.count()), (true, SECOND, 0));
}

#[tokio::test(start_paused = true)]
async fn time_in_the_queue_of_a_limit_does_not_count() {
    let start = Instant::now();
    nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(sleep(5 * SECOND));
        let queued = n.task().timeout(2 * SECOND).spawn(async {
            sleep(SECOND).await;
            Ok(())
        });
        queued.await;
        Ok(())
    })
    .limit(1)
    .await
    .unwrap();
    assert_eq!(start.elapsed(), 6 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_from_above_is_not_the_childs_failure() {
    // Of two that expire together the outermost is the one that expired (P8).
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.task().name("child").timeout(SECOND).spawn(pending::<()>());
        pending().await
    })
    .named("scope")
    .timeout(SECOND)
    .outcome()
    .await;
    let cancelled = outcome.cancelled().unwrap();
    assert_eq!((cancelled.origin().name(), cancelled.culprit()), (Some("scope"), None));
    assert_eq!((outcome.report().failed, outcome.report().cancelled), (0, 1));
    assert!(outcome.failures().is_empty());

    let stopped = nursery!(async |n| -> Result<(), Cancelled> {
        n.task().daemon().timeout(60 * SECOND).spawn(pending::<()>());
        let child = n.task().timeout(60 * SECOND).spawn(pending::<()>());
        sleep(SECOND).await;
        child.cancel().await;
        n.task().timeout(60 * SECOND).spawn(pending::<()>());
        sleep(SECOND).await;
        n.cancel_children("enough");
        n.task().daemon().timeout(60 * SECOND).spawn(pending::<()>());
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!((stopped.kind(), stopped.report().cancelled), (OutcomeKind::Ok, 4));
}

#[tokio::test(start_paused = true)]
async fn a_child_with_a_timeout_that_awaits_a_dead_sibling_shares_its_fate() {
    let outcome = nursery!(async |n| -> Result<(), String> {
        n.task().timeout(60 * SECOND).spawn_with(async |n: &Scope<String>| {
            let sibling = n.spawn(pending::<()>());
            n.cancel_children("both are present");
            sibling.await;
        });
        n.task().isolated().timeout(60 * SECOND).spawn_with(async |n: &Scope<String>| {
            let sibling = n.task().isolated().spawn(async { Err::<(), _>(String::from("of the sibling")) });
            sibling.await;
        });
        Ok(())
    })
    .outcome()
    .await;
    assert!(outcome.is_ok() || outcome.kind() == OutcomeKind::Partial, "{outcome:?}");
    let start = Instant::now();
    let alone = nursery!(async |n| -> Result<(), String> {
        let child = n.task().isolated().timeout(60 * SECOND).spawn_with(async |n: &Scope<String>| {
            let sibling = n.task().isolated().spawn(async { Err::<(), _>(String::from("of the sibling")) });
            sibling.await;
        });
        assert!(matches!(child.join().await, Err(Failure::Cancelled(why)) if why.reason() == Reason::AwaitedChild));
        Ok(())
    })
    .outcome()
    .await;
    assert!(matches!(alone.failures(), [Failure::Error(error)] if error == "of the sibling"), "{alone:?}");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_polls_once_and_one_too_long_is_none() {
    let outcome = nursery!(async |n| -> Result<u8, String> {
        let ready = n.task().timeout(Duration::ZERO).spawn(async { Ok(1) });
        let value = ready.await;
        n.task().isolated().timeout(Duration::MAX).spawn(async {
            assert_eq!(sc_tokio::deadline(), None);
        });
        let late = n.task().isolated().timeout(Duration::ZERO).spawn(async { tokio::task::yield_now().await });
        assert!(matches!(late.join().await, Err(Failure::Cancelled(late)) if late.is_deadline()));
        Ok(value)
    })
    .outcome()
    .await;
    assert_eq!((outcome.kind(), outcome.into_value()), (OutcomeKind::Ok, Some(1)));
}

#[test]
fn blocking_code_looks_at_its_own_deadline_and_its_end_is_what_it_returns() {
    both_flavours(|| async {
        let spin = |cx: &BlockingCx| loop {
            if let Err(late) = cx.check() {
                return late;
            }
            std::thread::yield_now();
        };
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let late = n.task().name("digest").timeout(Duration::ZERO).spawn_blocking(move |cx| {
                assert_eq!((cx.remaining(), cx.is_cancelled()), (Some(Duration::ZERO), true));
                Ok(spin(cx))
            });
            let late = late.await; // a value, late as it is
            assert!(
                late.is_deadline() && late.to_string().starts_with("deadline of 0ns of child `digest` ("),
                "{late}"
            );
            let far = n.task().timeout(Duration::MAX).spawn_blocking(|cx| Ok((cx.remaining(), cx.is_cancelled())));
            assert_eq!(far.await, (None, false));
            n.task().timeout(Duration::ZERO).spawn_blocking(|cx| cx.check());
            pending().await
        })
        .outcome()
        .await;
        assert!(matches!(outcome.failures(), [Failure::Error(late)] if late.is_deadline()), "{outcome:?}");
    });
}

// A grace of its own.

/// A child that goes on when it is told, until it is dropped; writes down when.
fn dropped_at(log: &Log, name: &'static str, start: Instant) -> impl Future<Output = ()> + Send + use<> {
    struct Note(Log, &'static str, Instant);
    impl Drop for Note {
        fn drop(&mut self) {
            self.0.add(format!("{} {}", self.1, self.2.elapsed().as_secs()));
        }
    }
    let note = Note(log.clone(), name, start);
    async move {
        let _note = note;
        pending::<()>().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_childs_own_grace_is_shorter_or_longer_than_the_scopes() {
    let (log, start) = (Log::new(), Instant::now());
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.task().grace(Duration::ZERO).spawn(dropped_at(&log, "zero", start));
        n.task().grace(SECOND).spawn(dropped_at(&log, "short", start));
        n.spawn(dropped_at(&log, "scope's", start));
        n.task().grace(5 * SECOND).spawn(dropped_at(&log, "long", start));
        n.task().grace(4 * SECOND).spawn_borrowed(dropped_at(&log, "borrowed", start));
        tokio::task::yield_now().await;
        n.cancel("stop");
        pending().await
    })
    .grace(3 * SECOND)
    .outcome()
    .await;
    assert_eq!(log.entries(), ["zero 0", "short 1", "scope's 3", "borrowed 4", "long 5"]);
    assert_eq!((outcome.kind(), outcome.report().cancelled), (OutcomeKind::Cancelled, 5));
    assert_eq!(start.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_childs_own_grace_counts_whoever_cancels_the_scope() {
    for how in ["deadline", "failure", "above", "dropped"] {
        let (log, start) = (Log::new(), Instant::now());
        let inner = nursery!(async |n| -> Result<(), Cancelled> {
            n.task().grace(2 * SECOND).spawn(dropped_at(&log, "child", start));
            tokio::task::yield_now().await;
            match how {
                "failure" => panic!("the body"),
                "deadline" => n.set_deadline(Instant::now() + SECOND).unwrap(),
                _ => {}
            }
            pending().await
        });
        let outer = nursery!(async |n| -> Result<(), Cancelled> {
            match how {
                "above" => {
                    let stop = n.canceller();
                    n.spawn(async move { stop.cancel("from above") });
                    drop(inner.outcome().await);
                }
                "dropped" => drop(tokio::time::timeout(SECOND, inner.outcome()).await),
                _ => drop(inner.outcome().await),
            }
            Ok(())
        });
        let _ = outer.grace(60 * SECOND).outcome().await;
        let expected = if how == "deadline" || how == "dropped" { 3 } else { 2 };
        assert_eq!(log.entries(), [format!("child {expected}")], "{how}");
        // The body of one that is cancelled from above has what its enclosing scope has left it.
        let end = if how == "above" { 60 } else { expected };
        assert_eq!(start.elapsed(), end * SECOND, "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_stopped_from_inside_has_its_own_grace() {
    let (log, start) = (Log::new(), Instant::now());
    nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(dropped_at(&log, "plain", start));
        n.task().grace(2 * SECOND).spawn(dropped_at(&log, "long", start));
        n.task().grace(3 * SECOND).daemon().spawn(dropped_at(&log, "daemon", start));
        let alone = n.task().grace(Duration::ZERO).spawn(dropped_at(&log, "alone", start));
        tokio::task::yield_now().await;
        alone.cancel().await;
        n.cancel_children("all of you");
        sleep(10 * SECOND).await;
        let last = n.task().grace(4 * SECOND).spawn(dropped_at(&log, "last", start));
        tokio::task::yield_now().await;
        last.cancel().await;
        assert!(!n.is_cancelled());
        Ok(())
    })
    .grace(SECOND)
    .await
    .unwrap();
    assert_eq!(log.entries(), ["alone 0", "plain 1", "long 2", "daemon 3", "last 14"]);
}

#[tokio::test(start_paused = true)]
async fn scopes_that_the_child_opened_have_its_instant_and_not_the_scopes() {
    let (log, start) = (Log::new(), Instant::now());
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        for (name, grace) in [("early", 1), ("late", 5)] {
            let inside = dropped_at(&log, name, start);
            n.task().grace(grace * SECOND).spawn(async move {
                let _ = nursery!(async |inner| -> Result<(), Cancelled> {
                    inner.spawn(inside);
                    inner.cancelled().await;
                    pending().await
                })
                .await;
            });
            // One that is opened when the cancellation is there already.
            let inside = dropped_at(&log, name, start);
            n.task().grace(grace * SECOND).spawn_with(async move |n: &Scope<Cancelled>| {
                n.cancelled().await;
                let _ = nursery!(async |_inner| -> Result<(), Cancelled> {
                    inside.await;
                    Ok(())
                })
                .await;
            });
        }
        tokio::task::yield_now().await;
        n.cancel("stop");
        pending().await
    })
    .grace(3 * SECOND)
    .await;
    assert!(result.is_err());
    assert_eq!(log.entries(), ["early 1", "early 1", "late 5", "late 5"]);
}

#[tokio::test(start_paused = true)]
async fn a_scope_opened_in_the_grace_by_an_ordinary_child_has_the_scopes_instant() {
    let start = Instant::now();
    let (sender, ended) = oneshot::channel();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            n.cancelled().await;
            let inner = nursery!(async |_inner| -> Result<u8, Cancelled> {
                sleep(SECOND).await; // tidies up with a scope's help
                Ok(1)
            })
            .await;
            let _ = sender.send(inner.is_ok());
        });
        tokio::task::yield_now().await;
        n.cancel("stop");
        pending().await
    })
    .grace(3 * SECOND)
    .await;
    assert!(result.is_err());
    assert_eq!((ended.await, start.elapsed()), (Ok(true), 3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn after_its_own_timeout_a_child_has_its_grace() {
    let start = Instant::now();
    let (sender, told) = oneshot::channel();
    let outcome = nursery!(async |n| -> Result<(), String> {
        n.task().timeout(SECOND).grace(3 * SECOND).spawn(async move {
            let why = sc_tokio::cancelled().await;
            let _ = sender.send((why.is_deadline(), start.elapsed()));
            pending::<()>().await;
        });
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(told.await.unwrap(), (true, SECOND));
    assert_eq!((start.elapsed(), outcome.kind()), (4 * SECOND, OutcomeKind::DeadlineExceeded));
}

#[tokio::test(start_paused = true)]
async fn stopping_a_child_in_its_scopes_grace_gives_it_no_more_time() {
    let (log, start) = (Log::new(), Instant::now());
    let _ = nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.spawn(dropped_at(&log, "child", start));
        tokio::task::yield_now().await;
        n.cancel("stop");
        sleep(2 * SECOND).await;
        child.cancel().await;
        Ok(())
    })
    .grace(3 * SECOND)
    .await;
    assert_eq!(log.entries(), ["child 3"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_to_stop_a_child_from_inside_is_the_one_it_obeys() {
    let start = Instant::now();
    let (sender, told) = oneshot::channel();
    nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.task().grace(3 * SECOND).spawn(async move {
            let why = sc_tokio::cancelled().await;
            let _ = sender.send(why);
            pending::<()>().await;
        });
        tokio::task::yield_now().await;
        n.cancel_children("first");
        sleep(2 * SECOND).await;
        child.cancel().await; // no second reason, and no second grace
        Ok(())
    })
    .await
    .unwrap();
    assert!(told.await.unwrap().to_string().ends_with(": first"));
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn with_an_endless_grace_a_child_is_never_dropped() {
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.task().grace(Duration::MAX).spawn(async {
            sleep(3600 * SECOND).await;
            Ok(())
        });
        tokio::task::yield_now().await;
        n.cancel("stop");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!((outcome.kind(), outcome.report().cancelled), (OutcomeKind::Ok, 0));
    assert_eq!(outcome.report().drained_in, Some(3600 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ended_leaves_no_timer_behind() {
    let start = Instant::now();
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        for _ in 0..100 {
            n.task().grace(60 * SECOND).spawn(async { Ok(()) }).await;
        }
        n.task().grace(60 * SECOND).spawn_with(async |n: &Scope<Cancelled>| {
            n.cancelled().await;
        });
        tokio::task::yield_now().await;
        n.cancel("stop");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!((outcome.kind(), outcome.report().succeeded), (OutcomeKind::Ok, 101));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn daemons_are_stopped_newest_first_each_with_its_own_grace_at_every_end() {
    for cancel in [false, true] {
        let (log, start) = (Log::new(), Instant::now());
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.task().daemon().grace(2 * SECOND).spawn(dropped_at(&log, "first", start));
            n.task().daemon().spawn(dropped_at(&log, "second", start));
            n.task().daemon().grace(Duration::ZERO).spawn(dropped_at(&log, "third", start));
            tokio::task::yield_now().await;
            if cancel {
                n.cancel("stop");
            }
            Ok(())
        })
        .grace(4 * SECOND)
        .outcome()
        .await;
        assert_eq!(log.entries(), ["third 0", "second 4", "first 6"], "cancelled: {cancel}");
        assert_eq!((outcome.is_ok(), start.elapsed()), (true, 6 * SECOND));
    }
}

#[tokio::test(start_paused = true)]
async fn a_daemon_need_not_sit_out_the_scopes_grace() {
    let start = Instant::now();
    nursery!(async |n| -> Result<(), Cancelled> {
        n.task().name("heartbeat").daemon().grace(Duration::ZERO).spawn(pending::<()>());
        Ok(())
    })
    .grace(60 * SECOND)
    .await
    .unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

// A shutdown.

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
        Root::new().run(shutdown).await.into_value();
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
        Root::new().run(late).await;
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
    Root::new().run(run).await.into_value().unwrap();
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
    assert!(Root::new().run(run).await.into_value().is_err());
    assert_eq!(told.await, Ok(Reason::Requested));
}

#[tokio::test]
async fn those_who_ended_are_off_the_list() {
    let run = async {
        nursery!(async |n| -> Result<(), Cancelled> {
            for _ in 0..100 {
                n.task().until_shutdown().spawn(async { Ok(()) }).await;
            }
            sc_tokio::root().begin_shutdown();
            Ok(())
        })
        .outcome()
        .await
    };
    let outcome = Root::new().run(run).await.into_value();
    assert_eq!((outcome.kind(), outcome.report().succeeded), (OutcomeKind::Ok, 100));
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

// What a handle tells.

#[tokio::test]
async fn a_handle_tells_number_place_and_end() {
    fn show<T, E>(child: &Child<'_, T, E>) -> String {
        format!("{child:?}")
    }
    nursery!(async |n| -> Result<(), Cancelled> {
        let line = line!() + 1;
        let child = n.task().name("named").spawn(async { Ok(()) });
        let other = n.spawn(pending::<()>());
        assert_eq!((child.id().unwrap().get(), other.id().unwrap().get()), (0, 1));
        assert_eq!((child.place().line(), other.place().line()), (line, line + 1));
        assert!(!child.is_finished());
        tokio::task::yield_now().await;
        assert!(child.is_finished() && !other.is_finished());
        let shown = show(&child);
        assert!(shown.contains("ChildId(0)") && shown.contains(&format!("attributes.rs:{line}")), "{shown}");
        assert!(shown.contains("is_finished: true"), "{shown}");
        other.cancel().await;
        n.cancel("stop");
        let refused = n.spawn(async { Ok(()) });
        assert_eq!((refused.id(), refused.is_finished(), refused.place().line()), (None, true, line!() - 1));
        assert!(show(&refused).contains("None"));
        Ok(())
    })
    .outcome()
    .await;
}

#[tokio::test(start_paused = true)]
async fn any_text_is_a_name() {
    let names = [String::new(), "two\nlines".into(), "`quoted` \u{1f980}".into(), "x".repeat(10_000)];
    for name in names {
        let place = Arc::new(Mutex::new(None));
        let outcome = nursery!(async |n| -> Result<(), String> {
            let child = n.task().name(name.clone()).timeout(SECOND).spawn(pending::<()>());
            *place.lock().unwrap() = Some(child.place());
            Ok(())
        })
        .outcome()
        .await;
        let culprit = outcome.cancelled().unwrap().culprit().unwrap().clone();
        assert_eq!((culprit.name(), culprit.place()), (Some(name.as_str()), *place.lock().unwrap()));
    }
}

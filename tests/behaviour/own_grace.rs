//! P9: a child's own grace, instead of its scope's. Virtual time.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, Nursery, OutcomeKind, Scope, nursery};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::support::Log;

const SECOND: Duration = Duration::from_secs(1);

/// A child that goes on when it is told, until it is dropped; writes down when.
pub(crate) fn dropped_at(log: &Log, name: &'static str, start: Instant) -> impl Future<Output = ()> + Send + use<> {
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

#[tokio::test(start_paused = true)]
async fn an_error_in_the_grace_ends_a_child_with_a_timeout_there_and_then() {
    let start = Instant::now();
    let outcome = nursery!(async |n| -> Result<(), &'static str> {
        let task = n.task().timeout(60 * SECOND).grace(10 * SECOND);
        task.spawn(async {
            sleep(2 * SECOND).await;
            Err::<(), _>("the disk is full")
        });
        sleep(SECOND).await;
        n.cancel("stop");
        pending().await
    })
    .outcome()
    .await;
    assert_eq!(start.elapsed(), 2 * SECOND, "the grace is a bound and not a wait");
    assert_eq!(outcome.report().failed, 1);
    assert!(matches!(outcome.failures(), [Failure::Error("the disk is full")]), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_whose_turn_has_come_gets_no_later_instant_from_cancel_children() {
    for own_grace in [None, Some(10 * SECOND)] {
        let (ended, started) = (Log::new(), Instant::now());
        nursery!(async |n: &Nursery<'_, Cancelled>| {
            // Stopped last, since it is the older one.
            n.task().daemon().spawn_with(async |n: &Scope<Cancelled>| {
                sleep(5 * SECOND).await;
                n.cancel_children("too late for the other");
                pending::<()>().await;
            });
            let task = n.task().daemon();
            let task = if let Some(grace) = own_grace { task.grace(grace) } else { task };
            task.spawn(dropped_at(&ended, "in its turn", started));
            Ok(())
        })
        .grace(10 * SECOND)
        .await
        .unwrap();
        assert_eq!(ended.entries(), ["in its turn 10"], "with {own_grace:?} of its own");
    }
}

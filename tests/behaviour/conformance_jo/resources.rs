//! Seats, values, resources, and what is done at the end. Cases of the table of conformance (JO).

use std::future::{Ready, pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sc_tokio::{Cancelled, Limit, OutcomeKind, OwnedScope, Reason, ScopeEnd, nursery};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::{HOUR, SECOND};
use crate::support::{Alive, Live, Log, both_flavours};

/// JO-CF-29, JO-LB-07.
#[test]
fn once_the_one_that_runs_has_failed_nobody_who_waits_for_its_seat_begins() {
    both_flavours(|| async {
        let begun = Arc::new(AtomicUsize::new(0));
        let outcome = nursery!(async |n| -> Result<(), String> {
            let begins = || {
                let begun = Arc::clone(&begun);
                async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                }
            };
            n.spawn(async {
                yield_now().await;
                Err::<(), _>(String::from("the one that runs"))
            });
            n.spawn(begins());
            if let Ok(permit) = n.reserve().await {
                permit.spawn(begins());
            }
            Ok(())
        })
        .limit(1)
        .outcome()
        .await;
        assert_eq!((outcome.kind(), begun.load(Ordering::SeqCst)), (OutcomeKind::Failed, 0));
    });
}

/// JO-LB-05.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_seat_is_told_when_the_scope_is_cancelled_and_leaves_the_queue() {
    let (limit, start, mut told) = (Limit::new(1), Instant::now(), None);
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(pending::<()>()); // has the seat to the end of the grace
        let stop = n.canceller();
        sc_tokio::spawn(async move {
            sleep(SECOND).await;
            stop.cancel("stop");
        });
        let reason = n.reserve().await.err().map(|cancelled| cancelled.reason());
        told = Some((reason, start.elapsed(), limit.queued()));
        Ok(())
    })
    .grace(HOUR)
    .limit(&limit)
    .outcome()
    .await;
    assert_eq!(told, Some((Some(Reason::Requested), SECOND, 0)));
    assert_eq!((outcome.kind(), limit.available()), (OutcomeKind::Cancelled, 1));
}

/// JO-DG-03.
#[test]
fn of_a_child_that_fails_and_one_that_does_not_the_error_is_the_result_every_time() {
    both_flavours(|| async {
        let live = Live::new();
        for round in 0..1_000 {
            let value = live.one();
            let result = nursery!(async move |n| -> Result<Alive, String> {
                n.spawn(async { Err::<(), _>(String::from("failed")) });
                n.spawn(async {});
                Ok(value)
            })
            .map_cancelled(|cancelled| cancelled.to_string())
            .await;
            assert_eq!(result.err().as_deref(), Some("failed"), "round {round}");
            assert_eq!(live.count(), 0, "the body's value is dropped");
        }
    });
}

/// A finalizer that writes down that it ran.
fn note(log: &Log, entry: &'static str) -> impl FnOnce(ScopeEnd) -> Ready<()> + Send + use<> {
    let log = log.clone();
    move |_end| {
        log.add(entry);
        ready(())
    }
}

/// JO-NO-08, JO-RL-11, JO-RL-14.
#[test]
fn a_finalizer_belongs_to_the_scope_it_is_given_to_wherever_that_happens() {
    both_flavours(|| async {
        let log = Log::new();
        nursery!(async |outer| -> Result<(), Cancelled> {
            outer.defer(note(&log, "outer 1"));
            nursery!(async |inner| -> Result<(), Cancelled> {
                inner.defer(note(&log, "inner 1"));
                outer.defer(note(&log, "outer 2, from inside"));
                inner.defer(note(&log, "inner 2"));
                Ok(())
            })
            .await?;
            log.add("the inner scope has ended");
            Ok(())
        })
        .await
        .unwrap();
        let expected = ["inner 2", "inner 1", "the inner scope has ended", "outer 2, from inside", "outer 1"];
        assert_eq!(log.entries(), expected);
    });
}

/// JO-RL-04.
#[test]
fn a_finalizer_given_to_a_scope_that_has_ended_runs() {
    both_flavours(|| async {
        let (log, owned) = (Log::new(), OwnedScope::<Cancelled>::new());
        owned.cancel("over");
        while !owned.canceller().is_closed() {
            yield_now().await;
        }
        owned.defer(note(&log, "late"));
        drop(owned.shutdown(Duration::ZERO).await);
        // As a task of the root's: the scope, which has ended, cannot wait for it.
        while log.entries().is_empty() {
            yield_now().await;
        }
        assert_eq!(log.entries(), ["late"], "P10");
    });
}

/// JO-RL-05.
#[test]
fn a_task_that_a_finalizer_spawns_has_ended_before_the_next_finalizer_runs() {
    both_flavours(|| async {
        let log = Log::new();
        nursery!(async |n| -> Result<(), Cancelled> {
            n.defer(note(&log, "next"));
            let (own, task) = (log.clone(), log.clone());
            n.defer(async move |_end| {
                own.add("finalizer");
                sc_tokio::spawn(async move {
                    for _ in 0..5 {
                        yield_now().await;
                    }
                    task.add("its task");
                });
            });
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(log.entries(), ["finalizer", "its task", "next"]);
    });
}

/// JO-RL-10.
#[tokio::test(start_paused = true)]
async fn a_resource_in_the_making_when_another_one_fails_is_made_and_released() {
    let (log, start) = (Log::new(), Instant::now());
    let (makes, releases) = (log.clone(), log.clone());
    let outcome = nursery!(async |n| -> Result<(), String> {
        let made = async move {
            sleep(3 * SECOND).await;
            makes.add(format!("made {:?}", start.elapsed()));
            Ok(())
        };
        let left = n.resource(made, async move |_resource, _end| {
            sleep(SECOND).await;
            releases.add(format!("released {:?}", start.elapsed()));
        });
        let fails = async {
            sleep(2 * SECOND).await;
            Err::<(), _>(String::from("no second one"))
        };
        let right = n.resource(fails, async |_resource, _end| {});
        tokio::try_join!(left, right)?;
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(log.entries(), ["made 3s", "released 4s"]);
    assert_eq!((outcome.failures().len(), start.elapsed()), (1, 4 * SECOND));
    assert_eq!(outcome.failures()[0].as_error().map(String::as_str), Some("no second one"));
}

/// JO-DF-11.
#[tokio::test]
async fn an_actor_ends_with_its_scope_its_mailbox_with_it_and_its_failure_ends_the_scope() {
    let (mailbox, mut letters) = mpsc::channel::<oneshot::Sender<u8>>(1);
    let kept = mailbox.clone();
    let value = nursery!(async |n| -> Result<u8, Cancelled> {
        n.task().name("actor").daemon().spawn(async move {
            while let Some(answer) = letters.recv().await {
                let _ = answer.send(7);
            }
        });
        let (ask, answer) = oneshot::channel();
        mailbox.send(ask).await.unwrap();
        Ok(answer.await.unwrap())
    })
    .await;
    let (ask, answer) = oneshot::channel();
    assert!(kept.send(ask).await.is_err());
    assert_eq!((value.unwrap(), answer.await.is_err()), (7, true), "an error, and no hang");

    let (mailbox, mut letters) = mpsc::channel(1);
    let result = nursery!(async |n| -> Result<(), String> {
        n.task().name("actor").daemon().spawn(async move {
            let letter: &str = letters.recv().await.unwrap();
            Err::<(), _>(format!("cannot {letter}"))
        });
        mailbox.send("juggle").await.unwrap();
        pending().await
    })
    .map_cancelled(|cancelled| cancelled.to_string())
    .await;
    assert_eq!(result.unwrap_err(), "cannot juggle");
}

//! Shields: a cancellation from outside waits for what is inside, up to a bound.

use std::future::{IntoFuture, pending};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use sc_tokio::{Cancelled, Nursery, OutcomeKind, Reason, Scope, nursery, shield};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{Live, Log, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_cancelled_child_finishes_its_shield_and_stops_right_after() {
    both_flavours(|| async {
        let log = Log::new();
        let outcome = nursery!(async |n: &Nursery<'_, Cancelled>| {
            let (begun, begins) = oneshot::channel();
            let log = log.clone();
            n.spawn(async move {
                shield(60 * SECOND, async {
                    begun.send(()).unwrap();
                    for _ in 0..10 {
                        yield_now().await;
                    }
                    log.add("finished");
                })
                .await
                .unwrap();
                log.add("goes on to its next await");
                yield_now().await;
                log.add("must not get here");
            });
            begins.await.unwrap();
            n.cancel("stop");
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(log.entries(), ["finished", "goes on to its next await"]);
        assert_eq!(outcome.kind(), OutcomeKind::Cancelled);
    });
}

#[test]
fn a_value_that_was_computed_in_a_shield_is_returned_even_if_a_cancellation_is_pending() {
    both_flavours(|| async {
        let result = nursery!(async |n| {
            n.cancel("stop");
            let value = shield(60 * SECOND, async {
                yield_now().await;
                7
            })
            .await?;
            Ok::<_, Cancelled>(value)
        })
        .await;
        assert_eq!(result.unwrap(), 7);
    });
}

#[tokio::test(start_paused = true)]
async fn inside_a_shield_nothing_of_the_cancellation_is_seen_but_the_request() {
    let log = Log::new();
    let result = nursery!(async |n| {
        shield(10 * SECOND, async {
            assert_eq!(sc_tokio::deadline(), None, "neither the scope's nor its own before the cancellation");
            assert!(sc_tokio::current().unwrap().pending_cancellation().is_none());
            n.cancel("stop");
            assert!(n.is_cancelled(), "the scope itself says so");
            assert!(!sc_tokio::is_cancelled());
            assert!(sc_tokio::checkpoint().await.is_ok());
            let pending = sc_tokio::current().unwrap().pending_cancellation().unwrap();
            assert_eq!(pending.reason(), Reason::Requested);
            sleep(3 * SECOND).await;
            assert_eq!(sc_tokio::remaining(), Some(7 * SECOND), "from the cancellation on");
            // Also further down.
            nursery!(async |n| {
                assert!(!n.is_cancelled());
                assert_eq!(n.spawn(async { Ok(sc_tokio::remaining()) }).await, Some(7 * SECOND));
                assert!(sc_tokio::current().unwrap().pending_cancellation().is_some());
                Ok::<_, Cancelled>(())
            })
            .await
            .unwrap();
            log.add("done");
        })
        .await
        .unwrap();
        assert!(sc_tokio::is_cancelled(), "after it, again");
        assert!(sc_tokio::checkpoint().await.is_err());
        Ok::<_, Cancelled>(())
    })
    .timeout(60 * SECOND)
    .await;
    assert_eq!(log.entries(), ["done"]);
    assert!(result.is_ok(), "nothing was cut short");
}

#[tokio::test(start_paused = true)]
async fn a_shield_is_bounded_from_the_cancellation_on() {
    let started = Instant::now();
    let live = Live::new();
    let result: Result<(), Cancelled> = nursery!(async |n| {
        let stop = n.canceller();
        n.task().daemon().spawn(async move {
            sleep(5 * SECOND).await;
            stop.cancel("stop");
        });
        let alive = live.one();
        n.spawn(async move {
            let _alive = alive;
            let _ = shield(2 * SECOND, pending::<()>()).await;
            pending::<()>().await;
        });
        pending().await
    })
    .await;
    assert_eq!(result.unwrap_err().reason(), Reason::Requested);
    assert_eq!(started.elapsed(), 7 * SECOND);
    assert_eq!(live.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn when_the_time_is_over_within_the_grace_the_shield_says_so() {
    let log = Log::new();
    let outcome = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let log = log.clone();
        n.spawn(async move {
            let started = Instant::now();
            let cancelled = shield(SECOND, pending::<()>()).await.unwrap_err();
            assert_eq!(cancelled.reason(), Reason::Requested);
            assert!(cancelled.is_inherited());
            log.add(format!("{:?}", started.elapsed()));
        });
        yield_now().await;
        n.cancel("stop");
        Ok(())
    })
    .grace(10 * SECOND)
    .outcome()
    .await;
    assert_eq!(log.entries(), ["1s"]);
    assert_eq!(outcome.kind(), OutcomeKind::Ok);
}

#[tokio::test(start_paused = true)]
async fn what_is_spawned_in_a_shield_is_shielded_and_joined() {
    let log = Log::new();
    let outcome = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let log = log.clone();
        n.spawn(async move {
            let inner = log.clone();
            let done = shield(60 * SECOND, async move {
                sc_tokio::spawn(async move {
                    sleep(3 * SECOND).await;
                    inner.add("ambient task done");
                });
                nursery!(async |n| {
                    n.spawn(sleep(2 * SECOND));
                    Ok::<_, Cancelled>("nursery done")
                })
                .await
            })
            .await;
            log.add(done.unwrap().unwrap());
        });
        yield_now().await;
        n.cancel("stop");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(log.entries(), ["ambient task done", "nursery done"]);
    assert_eq!(outcome.kind(), OutcomeKind::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_shield_in_a_nested_scope_holds_every_frame_around_it() {
    let log = Log::new();
    let outcome = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let log = log.clone();
        n.spawn(async move {
            let cut = nursery!(async |n| {
                let inner = log.clone();
                n.spawn_borrowed(async move {
                    shield(60 * SECOND, sleep(SECOND)).await?;
                    inner.add("borrowed child's shield");
                    Ok(())
                });
                n.spawn(pending::<()>());
                shield(60 * SECOND, sleep(2 * SECOND)).await?;
                log.add("body's shield");
                Ok::<_, Cancelled>(())
            })
            .await;
            log.add(format!("{}", cut.is_err()));
            yield_now().await;
            log.add("must not get here");
        });
        yield_now().await;
        n.cancel("stop");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(log.entries(), ["borrowed child's shield", "body's shield", "true"]);
    assert_eq!(outcome.kind(), OutcomeKind::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn two_shields_in_a_row_both_run_and_plain_code_between_them_does_not() {
    let log = Log::new();
    let _ = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let note = log.clone();
        n.spawn(async move {
            shield(60 * SECOND, sleep(SECOND)).await.unwrap();
            note.add("first");
            shield(60 * SECOND, sleep(SECOND)).await.unwrap();
            note.add("second");
            sleep(SECOND).await;
            note.add("must not get here");
        });
        yield_now().await;
        n.cancel("stop");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(log.entries(), ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn shields_nest_and_the_outer_one_stays_in_force() {
    let log = Log::new();
    let started = Instant::now();
    let _ = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let note = log.clone();
        n.spawn(async move {
            let _ = shield(10 * SECOND, async {
                shield(SECOND, sleep(3 * SECOND)).await.unwrap();
                note.add("inner: nothing came through the outer one");
                sleep(3 * SECOND).await;
                note.add("outer goes on");
                pending::<()>().await;
            })
            .await;
        });
        yield_now().await;
        n.cancel("stop");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(log.entries(), ["inner: nothing came through the outer one", "outer goes on"]);
    assert_eq!(started.elapsed(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_shield_is_against_the_outside_only() {
    let late = shield(60 * SECOND, sc_tokio::timeout(SECOND, pending::<()>())).await.unwrap();
    assert!(late.unwrap_err().is_deadline(), "a deadline inside works");
    let result: Result<(), Cancelled> = shield(
        60 * SECOND,
        nursery!(async |n| {
            n.spawn(async { Err::<(), _>(sc_tokio::timeout(SECOND, pending::<()>()).await.unwrap_err()) });
            pending().await
        })
        .into_future(),
    )
    .await
    .unwrap();
    assert!(result.is_err(), "and a failure");
    let panic = tokio::spawn(shield(SECOND, async { panic!("boom") })).await.unwrap_err();
    assert_eq!(*panic.into_panic().downcast::<&str>().unwrap(), "boom");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_the_surroundings_waits_for_the_shield() {
    let started = Instant::now();
    let result = nursery!(async |n: &Nursery<'_, Cancelled>| {
        n.spawn(async { shield(10 * SECOND, sleep(5 * SECOND)).await });
        Ok(())
    })
    .timeout(SECOND)
    .await;
    assert!(result.is_ok(), "all that was to be done is done");
    assert_eq!(started.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn stopping_the_child_itself_waits_for_its_shield() {
    for all in [false, true] {
        let log = Log::new();
        let result = nursery!(async |n| {
            let note = log.clone();
            let child = n.spawn(async move {
                shield(60 * SECOND, sleep(SECOND)).await.unwrap();
                note.add("shield done");
                yield_now().await;
                note.add("must not get here");
            });
            let note = log.clone();
            let endless = n.spawn(async move {
                let _ = shield(2 * SECOND, pending::<()>()).await;
                yield_now().await;
                note.add("must not get here");
            });
            yield_now().await;
            if all {
                n.cancel_children("stop");
                let _ = (child.join().await, endless.join().await);
            } else {
                tokio::join!(child.cancel(), endless.cancel());
            }
            Ok::<_, Cancelled>(())
        })
        .await;
        assert!(result.is_ok());
        assert_eq!(log.entries(), ["shield done"], "all: {all}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_ambient_task_is_shielded_as_a_child_is() {
    for all in [false, true] {
        let log = Log::new();
        let started = Instant::now();
        let _ = nursery!(async |n| {
            let note = log.clone();
            let task = sc_tokio::spawn(async move {
                shield(60 * SECOND, sleep(SECOND)).await.unwrap();
                note.add("shield done");
                sleep(SECOND).await;
                note.add("must not get here");
            });
            sc_tokio::spawn(async { shield(3 * SECOND, pending::<()>()).await });
            yield_now().await;
            if all {
                n.cancel_children("stop");
            } else {
                n.cancel("stop");
            }
            let _ = shield(60 * SECOND, task).await;
            Ok::<_, Cancelled>(())
        })
        .await;
        assert_eq!(log.entries(), ["shield done"], "all: {all}");
        assert_eq!(started.elapsed(), 3 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn spawn_shielded_goes_on_through_cancellation_and_drop_up_to_its_bound() {
    for drop_it in [false, true] {
        let (log, started) = (Log::new(), Instant::now());
        nursery!(async |_n| {
            let note = log.clone();
            let mut inner = Box::pin(
                nursery!(async |n| {
                    sc_tokio::spawn_shielded(60 * SECOND, async move {
                        sleep(5 * SECOND).await;
                        note.add("paid");
                    });
                    sc_tokio::spawn_shielded(2 * SECOND, pending::<()>());
                    yield_now().await;
                    if !drop_it {
                        n.cancel("stop");
                    }
                    pending::<Result<(), Cancelled>>().await
                })
                .into_future(),
            );
            let over = tokio::time::timeout(SECOND, &mut inner).await;
            assert!(over.is_err(), "it waits for what is shielded");
            drop(inner);
            Ok::<_, Cancelled>(())
        })
        .await
        .unwrap();
        assert_eq!(log.entries(), ["paid"]);
        assert_eq!(started.elapsed(), 5 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shield_in_a_child_survives_the_drop_of_its_scope_and_one_in_the_body_does_not() {
    let log = Log::new();
    nursery!(async |_n| {
        let (child, body) = (log.clone(), log.clone());
        let mut inner = Box::pin(
            nursery!(async |n| {
                n.spawn(async move {
                    shield(60 * SECOND, sleep(5 * SECOND)).await?;
                    child.add("child's");
                    Ok::<_, Cancelled>(())
                });
                shield(60 * SECOND, sleep(5 * SECOND)).await?;
                body.add("body's");
                Ok::<_, Cancelled>(())
            })
            .into_future(),
        );
        assert!(futures::poll!(&mut inner).is_pending());
        yield_now().await;
        drop(inner);
        Ok::<_, Cancelled>(())
    })
    .await
    .unwrap();
    assert_eq!(log.entries(), ["child's"]);
}

#[tokio::test(start_paused = true)]
async fn a_shield_that_nobody_polls_any_more_holds_nobody_longer_than_its_bound() {
    for forget in [false, true] {
        let started = Instant::now();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            n.spawn(async move {
                let mut unpolled = Box::pin(shield(4 * SECOND, pending::<()>()));
                assert!(futures::poll!(&mut unpolled).is_pending());
                if forget {
                    std::mem::forget(unpolled);
                    pending::<()>().await;
                } else {
                    pending::<()>().await;
                    drop(unpolled);
                }
            });
            sleep(SECOND).await;
            n.cancel("stop");
            pending().await
        })
        .await;
        assert!(result.is_err());
        assert_eq!(started.elapsed(), 5 * SECOND, "forgotten: {forget}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shield_that_is_polled_by_a_set_of_futures_holds_its_frame() {
    let log = Log::new();
    let _ = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let note = log.clone();
        n.spawn(async move {
            let mut set = FuturesUnordered::new();
            for seconds in [1, 2, 3] {
                set.push(shield(60 * SECOND, sleep(seconds * SECOND)));
            }
            while let Some(done) = set.next().await {
                note.add(format!("{}", done.is_ok()));
            }
        });
        yield_now().await;
        n.cancel("stop");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(log.entries(), ["true", "true", "true"]);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_shield_drops_what_is_inside_and_frees_the_frame() {
    let live = Live::new();
    let started = Instant::now();
    let _ = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let alive = live.one();
        n.spawn(async move {
            let inside = shield(60 * SECOND, async move {
                let _alive = alive;
                pending::<()>().await;
            });
            let _ = tokio::time::timeout(2 * SECOND, inside).await;
            pending::<()>().await;
        });
        sleep(SECOND).await;
        n.cancel("stop");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(live.count(), 0);
    assert_eq!(started.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_shield_of_no_time_shields_nothing_and_one_of_all_time_shields_for_ever() {
    let result: Result<(), Cancelled> = nursery!(async |n| {
        n.cancel("stop");
        shield(Duration::ZERO, pending::<()>()).await
    })
    .await;
    assert!(result.is_err());
    let result = nursery!(async |n| {
        n.cancel("stop");
        shield(Duration::MAX, async {
            assert_eq!(sc_tokio::deadline(), None);
            sleep(1_000_000 * SECOND).await;
        })
        .await
    })
    .await;
    assert!(result.is_ok());
}

#[test]
fn without_a_timer_a_shield_is_not_bounded_and_works() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = Log::new();
    runtime.block_on(async {
        let _ = nursery!(async |n: &Nursery<'_, Cancelled>| {
            let (note, other) = (log.clone(), log.clone());
            n.spawn(async move {
                shield(SECOND, async {
                    for _ in 0..3 {
                        yield_now().await;
                    }
                })
                .await?;
                note.add("inline");
                Ok(())
            });
            sc_tokio::spawn_shielded(SECOND, async move {
                yield_now().await;
                other.add("task");
            });
            yield_now().await;
            n.cancel("stop");
            Ok(())
        })
        .await;
    });
    let mut entries = log.entries();
    entries.sort();
    assert_eq!(entries, ["inline", "task"]);
}

#[tokio::test]
async fn outside_any_scope_a_shield_is_a_scope() {
    let value = shield(SECOND, async { sc_tokio::spawn(async { 3 }).await.unwrap() });
    assert_eq!(value.await.unwrap(), 3);
}

#[test]
fn a_shield_opened_after_the_cancellation_counts_from_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let started = Instant::now();
        let log = Log::new();
        let note = log.clone();
        let _ = nursery!(async |n: &Nursery<'_, Cancelled>| {
            n.spawn_with(async move |n: &Scope<Cancelled>| {
                n.cancelled().await;
                sleep(2 * SECOND).await;
                let over = shield(3 * SECOND, pending::<()>()).await;
                note.add(format!("{:?} {}", started.elapsed(), over.is_err()));
                let over = shield(SECOND, pending::<()>()).await;
                note.add(format!("{:?} {}", started.elapsed(), over.is_err()));
            });
            yield_now().await;
            n.cancel("stop");
            Ok(())
        })
        .grace(60 * SECOND)
        .await;
        assert_eq!(log.entries(), ["3s true", "3s true"]);
    });
}

//! Cancellation: how it goes down the tree, what it finds on its way, what a shield keeps out.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use sc_tokio::{Cancelled, OutcomeKind, Reason, Scope, Supervise, nursery, shield};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::{HOUR, SECOND, counted};
use crate::support::{Live, Log};

// TK-CP-04, TK-CP-05
#[tokio::test(start_paused = true)]
async fn a_cancellation_from_above_ends_children_before_their_scope_and_that_before_its_caller() {
    for supervised in [false, true] {
        let log = Log::new();
        let outer = nursery!(async |n| -> Result<(), Cancelled> {
            let stop = n.canceller();
            n.spawn(async move { stop.cancel("from above") });
            let tidies = log.clone();
            let inner = nursery!(async |inner| -> Result<(), Cancelled> {
                inner.spawn_with(async move |inner: &Scope<Cancelled>| {
                    inner.cancelled().await;
                    sleep(SECOND).await;
                    tidies.add("child");
                });
                pending().await
            })
            .grace(2 * SECOND);
            let inner = if supervised { inner.policy(Supervise) } else { inner };
            log.add(format!("scope, inherited: {}", inner.await.unwrap_err().is_inherited()));
            pending().await
        })
        .grace(60 * SECOND)
        .await;
        log.add(format!("caller: {:?}", outer.unwrap_err().reason()));
        assert_eq!(log.entries(), ["child", "scope, inherited: true", "caller: Requested"]);
    }
}

// TK-CP-10
#[tokio::test(start_paused = true)]
async fn a_child_has_the_deadline_of_the_scope_it_was_spawned_into_and_not_of_the_code_around_the_call() {
    let (log, start) = (Log::new(), Instant::now());
    nursery!(async |n| -> Result<(), Cancelled> {
        let note = log.clone();
        let late = sc_tokio::timeout(SECOND, async {
            n.spawn(async move {
                assert_eq!(sc_tokio::deadline(), None);
                sleep(5 * SECOND).await;
                note.add(format!("child after {:?}", start.elapsed()));
            });
            assert_eq!(sc_tokio::remaining(), Some(SECOND));
            pending::<()>().await;
        });
        assert!(late.await.unwrap_err().is_deadline());
        log.add(format!("time-out after {:?}", start.elapsed()));
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(log.entries(), ["time-out after 1s", "child after 5s"]);
}

// TK-CL-01
#[tokio::test(start_paused = true)]
async fn whoever_swallows_a_cancellation_is_told_again_every_time() {
    let told = nursery!(async |n| -> Result<u32, Cancelled> {
        n.cancel("once");
        let mut told = 0;
        for _ in 0..3 {
            assert!(n.is_cancelled() && sc_tokio::is_cancelled());
            assert!(sc_tokio::checkpoint().await.is_err());
            assert!(n.cancelled().now_or_never().is_some() && sc_tokio::cancelled().now_or_never().is_some());
            yield_now().await;
            told += 1;
        }
        Ok(told)
    })
    .grace(SECOND)
    .await;
    assert_eq!(told.unwrap(), 3);
}

// TK-CL-03
#[tokio::test]
async fn a_child_that_is_cancelled_before_its_first_poll_never_runs() {
    for how in ["its scope", "all present", "its handle"] {
        let (live, polled) = (Live::new(), Arc::new(AtomicUsize::new(0)));
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let (guard, count) = (live.one(), Arc::clone(&polled));
            let child = n.spawn(async move {
                let _guard = guard;
                count.fetch_add(1, Ordering::SeqCst);
            });
            match how {
                "its scope" => n.cancel("at once"),
                "all present" => n.cancel_children("at once"),
                _ => child.cancel().await,
            }
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!((polled.load(Ordering::SeqCst), live.count(), outcome.report().cancelled), (0, 0, 1), "{how}");
    }
}

// TK-CL-13
#[tokio::test(start_paused = true)]
async fn waiting_for_somebody_who_does_not_leave_takes_next_to_no_polls() {
    for shielded in [false, true] {
        let polls = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let (start, of_the_child) = (Instant::now(), Arc::clone(&polls));
        let scope = nursery!(async |n| -> Result<(), Cancelled> {
            let task = n.task();
            let task = if shielded { task.shielded(2 * HOUR) } else { task.grace(Duration::MAX) };
            task.spawn(async move { counted(&of_the_child[0], sleep(HOUR)).await });
            yield_now().await;
            n.cancel("stop");
            Ok(())
        })
        .warn_after(Duration::MAX);
        let outcome = counted(&polls[1], scope.outcome()).await;
        assert_eq!((outcome.kind(), start.elapsed()), (OutcomeKind::Ok, HOUR));
        assert!(polls.iter().all(|polls| polls.load(Ordering::SeqCst) < 10), "{polls:?}");
    }
}

// TK-CU-02, TK-HR-03
#[tokio::test(start_paused = true)]
async fn stopping_a_child_returns_at_once_and_waiting_for_it_when_it_has_tidied_up() {
    let log = Log::new();
    nursery!(async |n| -> Result<(), Cancelled> {
        let tidies = log.clone();
        let child = n.spawn(async move {
            sc_tokio::cancelled().await;
            sleep(SECOND).await;
            tidies.add("tidied up");
        });
        let endless = n.spawn(pending::<()>());
        yield_now().await;
        let stopping = child.cancel();
        log.add("told");
        stopping.await;
        log.add("ended");
        n.cancel_children("the other");
        assert!(!endless.is_finished(), "it is told, and has not ended");
        assert!(endless.join().await.unwrap_err().is_cancelled());
        Ok(())
    })
    .grace(2 * SECOND)
    .await
    .unwrap();
    assert_eq!(log.entries(), ["told", "tidied up", "ended"]);
}

// TK-CU-06, TK-SH-02, TK-SH-03
#[tokio::test(start_paused = true)]
async fn in_a_cancelled_scope_a_shielded_timeout_and_a_shielded_cancellation_work_on_their_own() {
    let start = Instant::now();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        assert!(n.cancelled().await.is_deadline());
        let late = shield(60 * SECOND, sc_tokio::timeout(2 * SECOND, pending::<()>())).await?.unwrap_err();
        assert!(late.is_deadline() && !late.is_inherited(), "{late}");
        assert_eq!(start.elapsed(), 3 * SECOND);
        let inside = nursery!(async |inner| -> Result<(), Cancelled> {
            inner.cancel("its own");
            pending().await
        });
        let cancelled = shield(60 * SECOND, inside.into_future()).await?.unwrap_err();
        assert_eq!((cancelled.reason(), cancelled.is_inherited()), (Reason::Requested, false));
        Ok(())
    })
    .timeout(SECOND)
    .grace(60 * SECOND)
    .await;
    assert!(result.is_ok(), "nothing was cut short: {result:?}");
}

// TK-SH-04
#[tokio::test]
async fn after_a_shield_every_cancelled_scope_around_it_stops_its_own_code() {
    for in_the_middle in [true, false] {
        let log = Log::new();
        let outer = nursery!(async |n| -> Result<(), Cancelled> {
            let middle = nursery!(async |middle| -> Result<(), Cancelled> {
                let inside = async {
                    n.cancel("the outer one");
                    middle.cancel("the one in the middle");
                    yield_now().await;
                    log.add("shielded");
                };
                shield(60 * SECOND, inside).await?;
                if in_the_middle {
                    yield_now().await;
                    log.add("must not get here, in the middle");
                }
                Ok(())
            });
            let _ = middle.await;
            yield_now().await;
            log.add("must not get here, outside");
            Ok(())
        })
        .await;
        assert!(outer.is_err());
        assert_eq!(log.entries(), ["shielded"]);
    }
}

// TK-CU-08
#[tokio::test(start_paused = true)]
async fn daemons_tidy_up_behind_a_failing_body_and_their_failures_are_kept_beside_its_own() {
    let log = Log::new();
    let outcome = nursery!(async |n| -> Result<(), String> {
        for i in 0..10 {
            let log = log.clone();
            n.task().daemon().spawn(async move {
                sc_tokio::cancelled().await;
                log.add(format!("daemon {i}"));
                if i < 2 { Err(format!("of daemon {i}")) } else { Ok(()) }
            });
        }
        yield_now().await;
        Err(String::from("of the body"))
    })
    .grace(SECOND)
    .outcome()
    .await;
    assert_eq!(log.entries().len(), 10);
    let failures: Vec<_> = outcome.failures().iter().map(ToString::to_string).collect();
    assert_eq!(failures, ["of the body", "of daemon 1", "of daemon 0"], "newest daemon first (P10)");
}

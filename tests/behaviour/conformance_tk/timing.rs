//! Time-outs in each other, deadlines that move, and what a deadline finds already decided. Virtual time.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, Scope, nursery, shield};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::{HOUR, SECOND, counted};
use crate::support::Log;

// TK-TD-13
#[tokio::test(start_paused = true)]
async fn an_error_in_time_stays_primary_though_the_deadline_passes_and_a_cleanup_crashes_in_the_drain() {
    let start = Instant::now();
    let outcome = nursery!(async |n| -> Result<(), String> {
        n.spawn_with(async |n: &Scope<String>| -> Result<(), String> {
            n.cancelled().await;
            sleep(5 * SECOND).await;
            panic!("while tidying up");
        });
        sleep(SECOND).await;
        Err(String::from("of the body"))
    })
    .timeout(2 * SECOND)
    .grace(10 * SECOND)
    .outcome()
    .await;
    assert_eq!((start.elapsed(), outcome.kind()), (6 * SECOND, OutcomeKind::Failed));
    assert_eq!(outcome.cancelled().map(Cancelled::reason), Some(Reason::ChildFailed));
    let [Failure::Error(body), Failure::Panic(child)] = outcome.failures() else { panic!("{outcome:?}") };
    assert_eq!((body.as_str(), child.message()), ("of the body", Some("while tidying up")));
}

// TK-TD-17
#[tokio::test(start_paused = true)]
async fn inner_timeouts_expire_one_after_another_until_the_outer_one_does() {
    let mut expired = 0;
    let result = nursery!(async |_n| -> Result<(), Cancelled> {
        loop {
            let late = sc_tokio::timeout(SECOND, pending::<()>()).await.unwrap_err();
            assert!(late.is_deadline() && !late.is_inherited(), "{late}");
            expired += 1;
        }
    })
    .named("outer")
    .timeout(7 * SECOND / 2)
    .await;
    assert_eq!(result.unwrap_err().origin().name(), Some("outer"));
    assert_eq!(expired, 3);
}

// TK-ND-01
#[tokio::test(start_paused = true)]
async fn the_code_behind_an_inner_timeout_that_the_outer_one_cut_short_does_not_run() {
    let (log, start) = (Log::new(), Instant::now());
    let result = nursery!(async |_n| -> Result<(), Cancelled> {
        let inner = sc_tokio::timeout(SECOND, async {
            assert_eq!(sc_tokio::remaining(), Some(SECOND / 10));
            pending::<()>().await;
        });
        log.add(format!("{:?}", inner.await));
        Ok(())
    })
    .named("outer")
    .timeout(SECOND / 10)
    .await;
    let late = result.unwrap_err();
    assert_eq!((late.origin().name(), late.is_inherited()), (Some("outer"), false));
    assert_eq!((start.elapsed(), log.entries().len()), (SECOND / 10, 0));
}

// TK-ND-04
#[tokio::test(start_paused = true)]
async fn a_deadline_that_another_task_moved_and_took_away_does_not_expire() {
    let start = Instant::now();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            sleep(SECOND).await;
            n.set_deadline(start + 9 * SECOND).unwrap();
            assert_eq!(n.deadline(), Some(start + 9 * SECOND));
            n.set_deadline(None).unwrap();
            assert_eq!(n.deadline(), None);
            sleep(60 * SECOND).await;
            n.cancel("enough");
        });
        pending().await
    })
    .timeout(5 * SECOND)
    .await;
    assert_eq!((result.unwrap_err().reason(), start.elapsed()), (Reason::Requested, 61 * SECOND));
}

// TK-ND-07
#[tokio::test(start_paused = true)]
async fn behind_a_shield_a_longer_timeout_than_the_outer_one_is_as_long_as_it_says() {
    let result = nursery!(async |_n| -> Result<(), Cancelled> {
        let long = nursery!(async |inner| -> Result<(), Cancelled> {
            assert_eq!((inner.remaining(), sc_tokio::remaining()), (Some(1000 * SECOND), Some(1000 * SECOND)));
            Ok(())
        })
        .timeout(1000 * SECOND);
        shield(60 * SECOND, long.into_future()).await?
    })
    .timeout(10 * SECOND)
    .await;
    result.unwrap();
}

// TK-ND-08
#[tokio::test(start_paused = true)]
async fn a_deadline_that_moved_a_hundred_thousand_times_leaves_no_timer_behind() {
    let (start, polls) = (Instant::now(), AtomicUsize::new(0));
    let scope = nursery!(async |n| -> Result<(), Cancelled> {
        for i in 0..100_000 {
            n.set_deadline(start + HOUR + Duration::from_millis(i)).unwrap();
            if i % 100 == 0 {
                yield_now().await; // so that it is waited for
            }
        }
        n.set_deadline(start + 2 * HOUR).unwrap();
        polls.store(0, Ordering::SeqCst);
        pending().await
    })
    .timeout(HOUR);
    let late = counted(&polls, scope.into_future()).await.unwrap_err();
    assert_eq!((late.reason(), start.elapsed()), (Reason::Deadline, 2 * HOUR));
    let polls = polls.into_inner();
    assert!(polls < 10, "woken {polls} times, for instants that count no more");
}

// TK-CL-16
#[tokio::test(start_paused = true)]
async fn a_checkpoint_ends_code_whose_deadline_passed_while_it_was_busy() {
    let result = nursery!(async |_n| -> Result<(), Cancelled> {
        // The clock goes on, and nobody else runs.
        assert!(futures::poll!(Box::pin(tokio::time::advance(2 * SECOND))).is_pending());
        sc_tokio::checkpoint().await
    })
    .timeout(SECOND)
    .await;
    assert!(result.unwrap_err().is_deadline());
}

// TK-CL-16
#[tokio::test(start_paused = true)]
async fn a_body_that_waits_for_nothing_but_checkpoints_is_ended_by_its_deadline() {
    let result = nursery!(async |_n| -> Result<(), Cancelled> {
        tokio::time::advance(2 * SECOND).await;
        for _ in 0..100_000 {
            sc_tokio::checkpoint().await?;
        }
        Ok(())
    })
    .timeout(SECOND)
    .await;
    assert!(result.unwrap_err().is_deadline());
}

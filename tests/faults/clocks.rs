//! Times that are past, zero, endless, or not to be had.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, OutcomeKind, Reason, nursery};
use tokio::time::Instant;

use crate::support::{Live, paused, settle, watched};

/// P8: born cancelled: children are refused, and a body that is ready wins.
#[test]
fn a_deadline_in_the_past_refuses_children_and_polls_the_body_once() {
    paused(|| async {
        tokio::time::advance(Duration::from_secs(10)).await;
        let past = Instant::now().checked_sub(Duration::from_secs(5)).expect("time has passed");
        let ready: Result<u8, Cancelled> = nursery!(async |_n| Ok(1)).deadline(past).await;
        assert_eq!(ready.unwrap(), 1);
        let live = Live::default();
        let guard = live.guard();
        let late: Result<(), Cancelled> = nursery!(async |n| {
            let refused = n.spawn(async move {
                let _guard = guard;
                unreachable!("a refused child is never polled")
            });
            refused.await;
            Ok(())
        })
        .deadline(past)
        .await;
        assert!(late.unwrap_err().is_deadline());
        assert_eq!(live.count(), 0);
    });
}

/// P8, P9: as long as the clock can count, and longer.
#[test]
fn endless_durations_are_none() {
    paused(|| async {
        let result: Result<u8, Cancelled> = nursery!(async |n| {
            n.defer(async |_| tokio::time::sleep(Duration::from_secs(1)).await);
            let child = n.spawn(async {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(1)
            });
            let told = n.spawn(tokio::time::sleep(Duration::from_secs(60)));
            drop(told.cancel());
            Ok(child.await)
        })
        .timeout(Duration::MAX)
        .grace(Duration::MAX)
        .warn_after(Duration::MAX)
        .finalizer_timeout(Duration::MAX)
        .await;
        assert_eq!(result.unwrap(), 1);
    });
}

/// P8, P9: zero is at once, and not for ever again.
#[test]
fn durations_of_zero_end_at_once() {
    paused(|| async {
        let start = Instant::now();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.defer(async |_| pending::<()>().await);
            let _ = n.spawn(pending::<()>());
            pending().await
        })
        .timeout(Duration::ZERO)
        .grace(Duration::ZERO)
        .warn_after(Duration::ZERO)
        .finalizer_timeout(Duration::ZERO)
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::DeadlineExceeded);
        assert!(start.elapsed() < Duration::from_millis(10));
    });
}

fn timerless() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// Without a timer only what was asked for is missed.
#[test]
fn a_runtime_without_a_timer_runs_scopes_and_finalizers() {
    watched(|| {
        timerless().block_on(async {
            let live = Live::default();
            let guard = live.guard();
            let outcome = nursery!(async |n| -> Result<u8, Cancelled> {
                n.defer(async move |_| {
                    let _guard = guard;
                    settle().await;
                });
                let _ = n.task().daemon().spawn(pending::<()>());
                let child = n.spawn(async {
                    settle().await;
                    Ok(1)
                });
                Ok(child.await)
            })
            .outcome()
            .await;
            assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome:?}");
            assert_eq!(live.count(), 0);
        });
    });
}

/// A requested deadline without a timer is an error of the program.
#[test]
fn a_deadline_on_a_runtime_without_a_timer_panics() {
    watched(|| {
        let scope = nursery!(async |_n| -> Result<(), Cancelled> { pending().await }).timeout(Duration::from_secs(1));
        let runtime = timerless();
        assert!(crate::fuse::caught(|| runtime.block_on(scope.into_future())).is_err());
    });
}

/// P9: one runtime without a timer silences no other.
#[test]
fn stragglers_are_named_after_a_runtime_without_a_timer_was_met() {
    watched(|| {
        timerless().block_on(async {
            let result: Result<(), Cancelled> = nursery!(async |n| {
                let _ = n.spawn(settle());
                Ok(())
            })
            .await;
            assert!(result.is_ok());
        });
    });
    paused(|| async {
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let _ = n.task().name("late").spawn(pending::<()>());
            settle().await;
            n.cancel("enough");
            pending().await
        })
        .grace(Duration::from_secs(60))
        .outcome()
        .await;
        assert_eq!(outcome.report().stragglers.len(), 1);
    });
}

/// P8: a deadline is moved from a child while the scope's future is parked.
#[test]
fn a_deadline_moved_into_the_past_fires_at_once() {
    paused(|| async {
        let start = Instant::now();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let _ = n.spawn_with(async |n: &sc_tokio::Scope<Cancelled>| {
                tokio::time::sleep(Duration::from_secs(2)).await;
                n.set_deadline(Instant::now().checked_sub(Duration::from_secs(1))).expect("it has not expired");
                pending::<()>().await;
            });
            pending().await
        })
        .timeout(Duration::from_secs(100))
        .await;
        assert_eq!(result.unwrap_err().reason(), Reason::Deadline);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    });
}

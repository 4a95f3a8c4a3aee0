//! Code that has something to do whenever it is polled spends Tokio's whole cooperative budget in each poll. What shares a
//! task with it comes to its right all the same: deadlines, signals, the time of finalizers (P8, P9, P10).

use std::time::Duration;

use sc_tokio::{Cancelled, OutcomeKind, Reason, nursery, timeout};
use tokio::sync::oneshot;
use tokio::task::consume_budget;

use crate::support::both_flavours;

const SOON: Duration = Duration::from_millis(10);

/// Never waits for anything, and lets others run: a proxy between two fast peers, say.
async fn busy() {
    loop {
        consume_budget().await;
    }
}

#[test]
fn a_deadline_cuts_a_body_that_is_always_busy() {
    both_flavours(|| async {
        let result: Result<(), Cancelled> = nursery!(async |_n| {
            busy().await;
            Ok(())
        })
        .timeout(SOON)
        .await;
        assert!(result.unwrap_err().is_deadline());
        assert!(timeout(SOON, busy()).await.unwrap_err().is_deadline());
    });
}

#[test]
fn a_deadline_cuts_a_borrowed_child_that_is_always_busy() {
    both_flavours(|| async {
        let result: Result<(), Cancelled> = nursery!(async |n| {
            n.spawn_borrowed(busy());
            Ok(())
        })
        .timeout(SOON)
        .await;
        assert!(result.unwrap_err().is_deadline());
    });
}

#[test]
fn a_childs_own_deadline_cuts_it_if_it_is_always_busy() {
    both_flavours(|| async {
        let result: Result<(), Cancelled> = nursery!(async |n| {
            n.task().name("proxy").timeout(SOON).spawn(busy());
            Ok(())
        })
        .await;
        assert_eq!(result.unwrap_err().culprit().unwrap().name(), Some("proxy"));
    });
}

#[test]
fn a_signal_reaches_a_scope_whose_body_is_always_busy() {
    both_flavours(|| async {
        let (stop, stopped) = oneshot::channel::<()>();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            n.spawn_blocking(move |_cx| drop(stop));
            busy().await;
            Ok(())
        })
        .cancel_on(async { drop(stopped.await) })
        .await;
        assert_eq!(result.unwrap_err().reason(), Reason::External);
    });
}

#[test]
fn a_finalizer_that_is_always_busy_has_its_time_and_no_more() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.defer(async |_end| busy().await);
            Ok(())
        })
        .finalizer_timeout(SOON)
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
    });
}

//! `task().shielded`: a child that is shielded as a whole.

use std::future::{IntoFuture, pending};
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, Nursery, Scope, nursery};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::Log;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_shielded_child_goes_on_through_cancellation_stop_and_drop_up_to_its_bound() {
    for how in ["cancel", "cancel_children", "stop it", "drop"] {
        let (log, started) = (Log::new(), Instant::now());
        nursery!(async |_n| {
            let note = log.clone();
            let mut inner = Box::pin(
                nursery!(async |n| {
                    let paying = n.task().name("pay").shielded(60 * SECOND).spawn(async move {
                        assert!(!sc_tokio::is_cancelled());
                        sleep(5 * SECOND).await;
                        note.add("paid");
                    });
                    let endless = n.task().shielded(2 * SECOND).spawn_with(async |_: &Scope<Cancelled>| {
                        pending::<()>().await;
                    });
                    yield_now().await;
                    match how {
                        "cancel" => n.cancel("stop"),
                        "cancel_children" => n.cancel_children("stop"),
                        "stop it" => {
                            tokio::join!(paying.cancel(), endless.cancel());
                        }
                        _ => {}
                    }
                    pending::<Result<(), Cancelled>>().await
                })
                .into_future(),
            );
            let over = tokio::time::timeout(SECOND, &mut inner).await;
            assert!(over.is_err(), "{how}: it waits for what is shielded");
            drop(inner);
            Ok::<_, Cancelled>(())
        })
        .await
        .unwrap();
        assert_eq!(log.entries(), ["paid"], "{how}");
        assert_eq!(started.elapsed(), 5 * SECOND, "{how}");
    }
}

#[tokio::test]
async fn a_shielded_child_that_is_cancelled_before_it_began_runs() {
    let log = Log::new();
    let note = log.clone();
    let result = nursery!(async |n| {
        n.task().shielded(SECOND).spawn(async move { note.add("ran") });
        n.cancel("stop");
        Ok::<_, Cancelled>(())
    })
    .await;
    assert_eq!(log.entries(), ["ran"]);
    assert!(result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_shielded_child_can_have_a_time_out_of_its_own() {
    let outcome = nursery!(async |n: &Nursery<'_, Cancelled>| {
        n.task().name("pay").shielded(60 * SECOND).timeout(SECOND).spawn(pending::<()>());
        n.cancel("stop");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(outcome.report().failed + outcome.report().cancelled, 1);
    assert_eq!(outcome.report().duration, SECOND, "{}", outcome.report());
}

#[tokio::test(start_paused = true)]
async fn a_borrowed_child_can_be_shielded() {
    let log = Log::new();
    let result = nursery!(async |n| {
        n.task().shielded(60 * SECOND).spawn_borrowed(async {
            sleep(SECOND).await;
            log.add("done");
        });
        yield_now().await;
        n.cancel("stop");
        Ok::<_, Cancelled>(())
    })
    .await;
    assert_eq!(log.entries(), ["done"]);
    assert!(result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_its_own_is_not_lost_when_its_time_is_over_before_all_that_it_spawned_has_ended() {
    let outcome = nursery!(async |n: &Nursery<'_, &str>| {
        n.task().isolated().shielded(SECOND).spawn(async {
            sc_tokio::spawn(pending::<()>());
            Err::<(), _>("the child's own")
        });
        yield_now().await;
        n.cancel_children("stop");
        Ok(())
    })
    .outcome()
    .await;
    assert!(matches!(outcome.failures(), [Failure::Error("the child's own")]), "{outcome:?}");
    assert_eq!(outcome.report().duration, SECOND, "{}", outcome.report());
}

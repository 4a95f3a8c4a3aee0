//! P9: cancel is a signal; after the grace what still runs is dropped, then awaited. Virtual time.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, Scope, nursery};
use tokio::time::{Instant, sleep};

use crate::support::Log;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn without_a_grace_children_are_dropped_at_once() {
    let start = Instant::now();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(sleep(60 * SECOND));
        tokio::task::yield_now().await;
        n.cancel("now");
        pending().await
    })
    .await;
    assert!(result.is_err());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn in_the_grace_children_and_body_may_tidy_up() {
    let (start, log) = (Instant::now(), Log::new());
    let child_log = log.clone();
    let outcome = nursery!(async |n| -> Result<&'static str, Cancelled> {
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            n.cancelled().await;
            sleep(SECOND).await;
            child_log.add("child tidied up");
        });
        tokio::task::yield_now().await;
        n.cancel("wind down");
        sleep(2 * SECOND).await;
        log.add("body tidied up");
        Ok("done")
    })
    .grace(5 * SECOND)
    .outcome()
    .await;
    assert_eq!(log.entries(), ["child tidied up", "body tidied up"]);
    assert!(outcome.is_ok(), "nothing was cut short: {outcome:?}");
    assert_eq!(start.elapsed(), 2 * SECOND, "the grace is a bound and not a wait");
}

#[tokio::test(start_paused = true)]
async fn after_the_grace_what_still_runs_is_dropped() {
    let (start, log) = (Instant::now(), Log::new());
    let guard = log.on_drop("dropped");
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        tokio::task::yield_now().await;
        n.cancel("stop");
        pending().await
    })
    .grace(3 * SECOND)
    .await;
    assert!(result.is_err());
    assert_eq!((start.elapsed(), log.entries().len()), (3 * SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn nested_scopes_without_a_grace_of_their_own_inherit_the_instant() {
    let start = Instant::now();
    let mut inner_ended = None;
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        let stop = n.canceller();
        n.spawn(async move {
            sleep(SECOND).await;
            stop.cancel("stop");
        });
        let inner = nursery!(async |inner| -> Result<(), Cancelled> {
            inner.cancelled().await;
            sleep(2 * SECOND).await;
            Ok(())
        })
        .await;
        inner_ended = Some((start.elapsed(), inner.is_ok()));
        pending().await
    })
    .grace(4 * SECOND)
    .await;
    assert!(result.is_err());
    assert_eq!(inner_ended, Some((3 * SECOND, true)));
    assert_eq!(start.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_child_stopped_through_its_handle_has_the_grace_too() {
    let (start, log) = (Instant::now(), Log::new());
    let guard = log.on_drop("dropped");
    nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        tokio::task::yield_now().await;
        child.cancel().await;
        assert_eq!(start.elapsed(), 2 * SECOND);
        assert!(!n.is_cancelled());
        Ok(())
    })
    .grace(2 * SECOND)
    .await
    .unwrap();
    assert_eq!(log.entries(), ["dropped"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_stopped_alone_hands_its_reason_to_the_scopes_it_opened() {
    let (sender, reason) = tokio::sync::oneshot::channel();
    nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.spawn(async move {
            let _ = nursery!(async |inner| -> Result<(), Cancelled> {
                let _ = sender.send(inner.cancelled().await);
                Ok(())
            })
            .await;
        });
        sleep(SECOND).await;
        child.cancel().await;
        Ok(())
    })
    .grace(SECOND)
    .await
    .unwrap();
    let cancelled = reason.await.unwrap();
    assert_eq!((cancelled.reason(), cancelled.is_inherited()), (sc_tokio::Reason::Requested, true));
}

#[tokio::test(start_paused = true)]
async fn stopping_a_child_of_a_cancelled_scope_gives_it_no_second_grace() {
    let start = Instant::now();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.spawn(pending::<()>());
        tokio::task::yield_now().await;
        n.cancel("wind down");
        sleep(4 * SECOND).await;
        drop(child.cancel());
        pending().await
    })
    .grace(5 * SECOND)
    .await;
    assert!(result.is_err());
    assert_eq!(start.elapsed(), 5 * SECOND, "the scope's cancellation came first, and so did its instant (P6, P9)");
}

#[tokio::test(start_paused = true)]
async fn stopping_a_child_a_second_time_gives_it_no_second_grace() {
    let start = Instant::now();
    nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.spawn(pending::<()>());
        tokio::task::yield_now().await;
        n.cancel_children("one");
        sleep(4 * SECOND).await;
        child.cancel().await;
        assert_eq!(start.elapsed(), 5 * SECOND);
        Ok(())
    })
    .grace(5 * SECOND)
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn cancel_children_in_a_cancelled_scope_gives_nobody_a_second_grace() {
    let start = Instant::now();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(pending::<()>());
        n.task().grace(3 * SECOND).spawn(pending::<()>());
        tokio::task::yield_now().await;
        n.cancel("wind down");
        sleep(2 * SECOND).await;
        n.cancel_children("again");
        pending().await
    })
    .grace(5 * SECOND)
    .await;
    assert!(result.is_err());
    assert_eq!(start.elapsed(), 5 * SECOND);
}

//! P8: deadlines are instants, inherited, and the outermost of equals expires. Virtual time.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, OutcomeKind, Reason, nursery};
use tokio::time::{Instant, sleep};

use crate::support::Log;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_timeout_counts_from_the_first_poll_and_names_its_scope() {
    let scope = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(pending::<()>());
        pending().await
    })
    .named("page")
    .timeout(2 * SECOND);
    sleep(10 * SECOND).await;
    let start = Instant::now();
    let cancelled = scope.await.unwrap_err();
    assert_eq!(start.elapsed(), 2 * SECOND);
    assert_eq!(cancelled.reason(), Reason::Deadline);
    assert!(cancelled.to_string().starts_with("deadline of 2s expired in scope `page` ("), "{cancelled}");
}

#[tokio::test(start_paused = true)]
async fn every_callee_inherits_the_deadline_and_can_only_shorten_it() {
    let start = Instant::now();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.spawn(async move {
            nursery!(async |inner| -> Result<(), Cancelled> {
                assert_eq!(inner.remaining(), Some(5 * SECOND), "a longer one does not extend the caller's");
                nursery!(async |innermost| -> Result<(), Cancelled> {
                    assert_eq!(innermost.remaining(), Some(SECOND));
                    Ok(())
                })
                .timeout(SECOND)
                .await?;
                pending().await
            })
            .timeout(60 * SECOND)
            .await
        });
        child.await;
        Ok(())
    })
    .timeout(5 * SECOND)
    .await;
    assert_eq!(start.elapsed(), 5 * SECOND);
    assert!(result.unwrap_err().is_deadline());
}

#[tokio::test(start_paused = true)]
async fn when_two_expire_together_the_outermost_is_the_one_that_expired() {
    let mut seen = None;
    let outer = nursery!(async |_n| -> Result<(), Cancelled> {
        let inner = nursery!(async |inner| -> Result<(), Cancelled> {
            inner.cancelled().await;
            Ok(())
        })
        .named("inner")
        .timeout(SECOND)
        .grace(SECOND)
        .outcome()
        .await;
        seen = inner.cancelled().cloned();
        pending().await
    })
    .named("outer")
    .timeout(SECOND)
    .grace(SECOND)
    .await;
    assert_eq!(outer.unwrap_err().origin().name(), Some("outer"));
    let seen = seen.unwrap();
    assert_eq!((seen.origin().name(), seen.is_inherited()), (Some("outer"), true));
}

#[tokio::test(start_paused = true)]
async fn with_both_long_expired_the_outer_one_is_reported() {
    // The peers' defect: the inner `timeout` reports, and the outer one succeeds.
    let mut inner_error = None;
    let outer = nursery!(async |_n| -> Result<(), Cancelled> {
        let inner = nursery!(async |_i| -> Result<(), Cancelled> {
            tokio::time::advance(10 * SECOND).await; // both expire inside one poll
            pending().await
        })
        .named("inner")
        .timeout(SECOND)
        .await;
        inner_error = inner.clone().err();
        inner
    })
    .named("outer")
    .timeout(2 * SECOND)
    .await;
    assert_eq!(outer.unwrap_err().origin().name(), Some("outer"));
    let inner_error = inner_error.unwrap();
    assert!(inner_error.is_inherited() && inner_error.origin().name() == Some("outer"), "{inner_error}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_refuses_children_and_polls_the_body_once() {
    let past = Instant::now().checked_sub(SECOND).unwrap();
    let ready: Result<u8, Cancelled> = nursery!(async |_n| Ok(1)).deadline(past).await;
    assert_eq!(ready.unwrap(), 1, "a body that is ready wins");
    let mut reached = 0;
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(async { unreachable!("refused") });
        reached += 1;
        tokio::task::yield_now().await;
        reached += 1;
        Ok(())
    })
    .timeout(Duration::ZERO)
    .outcome()
    .await;
    assert_eq!((reached, outcome.kind()), (1, OutcomeKind::DeadlineExceeded));
    assert_eq!(outcome.report().refused, 1);
}

#[tokio::test(start_paused = true)]
async fn too_long_for_the_clock_is_no_deadline() {
    let value: Result<u8, Cancelled> = nursery!(async |n| {
        assert_eq!(n.deadline(), None);
        Ok(1)
    })
    .timeout(Duration::MAX)
    .await;
    assert_eq!(value.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_timeout_and_deadline_the_earlier_counts() {
    let start = Instant::now();
    let result: Result<(), Cancelled> =
        nursery!(async |_n| pending().await).timeout(3 * SECOND).deadline(start + SECOND).await;
    assert!(result.is_err());
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn set_deadline_moves_it_later_and_earlier_while_parked() {
    for (moved_to, expected) in [(8, 8), (2, 2)] {
        let start = Instant::now();
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn_with(async move |n: &sc_tokio::Scope<Cancelled>| {
                sleep(SECOND).await;
                n.set_deadline(start + moved_to * SECOND).unwrap();
            });
            pending().await
        })
        .timeout(5 * SECOND)
        .await;
        assert!(result.is_err());
        assert_eq!(start.elapsed(), expected * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_moved_deadline_reaches_nested_scopes_and_an_expired_one_cannot_be_moved() {
    let mut moved_late = None;
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        nursery!(async |inner| -> Result<(), Cancelled> {
            assert_eq!(inner.remaining(), Some(5 * SECOND));
            n.set_deadline(Instant::now() + SECOND).unwrap();
            assert_eq!(inner.remaining(), Some(SECOND));
            n.set_deadline(None).unwrap();
            assert_eq!(inner.remaining(), None);
            n.set_deadline(Instant::now()).unwrap();
            moved_late = Some(n.set_deadline(Instant::now() + SECOND));
            pending().await
        })
        .await
    })
    .timeout(5 * SECOND)
    .await;
    assert!(result.unwrap_err().is_deadline());
    assert!(moved_late.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_blocking_child_can_ask_for_the_deadline() {
    let left = nursery!(async |n| -> Result<Option<Duration>, Cancelled> {
        let child = n.spawn_blocking(|cx| Ok(cx.remaining()));
        Ok(child.await)
    })
    .timeout(5 * SECOND)
    .await
    .unwrap();
    assert!(left.unwrap() <= 5 * SECOND && left.unwrap() > 4 * SECOND, "{left:?}");
}

#[test]
fn a_runtime_without_a_timer_serves_scopes_that_ask_for_no_deadline() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let value = runtime.block_on(async {
        nursery!(async |n| -> Result<u8, Cancelled> {
            n.defer(async |_end| tokio::task::yield_now().await);
            n.spawn(tokio::task::yield_now());
            let child = n.spawn(async { Ok(1) });
            Ok(child.await)
        })
        .await
    });
    assert_eq!(value.unwrap(), 1);
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = runtime.block_on(async {
            let scope: Result<(), Cancelled> = nursery!(async |_n| pending().await).timeout(SECOND).await;
            scope
        });
    }));
    let message = *asked.unwrap_err().downcast::<&'static str>().map_or_else(
        |s| Box::new(s.downcast_ref::<String>().cloned().unwrap_or_default()),
        |s| Box::new((*s).to_owned()),
    );
    assert!(message.contains("timer"), "{message}");
}

/// A daemon is told in its turn and not with the others, so nobody else ends it in time.
#[tokio::test(start_paused = true)]
async fn a_daemons_own_timeout_holds_after_the_deadline_of_its_scope() {
    let log = Log::new();
    let guard = log.on_drop("dropped");
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.task().daemon().timeout(3 * SECOND).grace(Duration::ZERO).spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        sleep(4 * SECOND).await; // from the second on in the grace
        assert_eq!(log.entries(), ["dropped"]);
        Ok(())
    })
    .timeout(2 * SECOND)
    .grace(60 * SECOND)
    .outcome()
    .await;
    assert!(outcome.value().is_some(), "{outcome:?}");
}

//! Runtimes without a timer: what works there, and what is a clear error.

use std::future::{IntoFuture, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use sc_tokio::{Cancelled, OutcomeKind, Scope, nursery, timeout};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::support::Live;

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test on one; gives its output or the message of its panic.
fn without_timer<T>(test: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test)));
    // What a panic left behind is on the books of others, which go on.
    runtime.block_on(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    result.map_err(|payload| sc_tokio::Panic::new(payload).message().unwrap_or_default().to_owned())
}

#[test]
fn everything_works_that_asks_for_no_time() {
    let live = Live::new();
    let kinds = without_timer(async {
        let spawn = |n: &Scope<Cancelled>, guard| {
            n.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        };
        let cancelled = nursery!(async |n| -> Result<(), Cancelled> {
            n.defer(async |_end| yield_now().await);
            n.task().daemon().spawn(pending::<()>());
            spawn(n, live.one());
            yield_now().await;
            n.cancel_children("some");
            spawn(n, live.one());
            sc_tokio::spawn_blocking(|| ());
            yield_now().await;
            assert_eq!((n.deadline(), n.remaining()), (None, None));
            n.cancel("all");
            pending().await
        })
        .grace(Duration::ZERO)
        .finalizer_timeout(SECOND)
        .warn_after(SECOND)
        .outcome()
        .await;
        // No time passes: what is ready needs no timer, and what never expires neither.
        let ready_at_once = timeout(SECOND, ready(7)).await;
        let never: Result<(), Cancelled> = timeout(Duration::MAX, yield_now()).await;
        let born_cancelled = timeout(Duration::ZERO, pending::<()>()).await.unwrap_err();
        let forever: Result<(), Cancelled> = nursery!(async |n| {
            n.spawn(yield_now());
            n.cancel("the grace never ends");
            Ok(())
        })
        .grace(Duration::MAX)
        .await;
        (cancelled.kind(), ready_at_once.unwrap(), never.is_ok(), born_cancelled.is_deadline(), forever.is_ok())
    });
    assert_eq!(kinds, Ok((OutcomeKind::Cancelled, 7, true, true, true)));
    assert_eq!(live.count(), 0);
}

#[test]
fn a_deadline_or_a_grace_is_a_clear_error_and_leaves_nothing() {
    let live = Live::new();
    let asks: [fn(&Scope<Cancelled>); 3] = [
        |n| n.set_deadline(Instant::now() + SECOND).unwrap(),
        |n| n.cancel("with a grace"),
        |n| drop(n.spawn(sc_tokio::timeout(SECOND, pending::<()>()))),
    ];
    // Also one that is later than the first message about a slow end, which nobody asked for.
    for (case, (ask, grace)) in asks.into_iter().flat_map(|ask| [(ask, SECOND), (ask, 3600 * SECOND)]).enumerate() {
        let result = without_timer(async {
            nursery!(async |n| -> Result<(), Cancelled> {
                let guard = live.one();
                n.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                yield_now().await;
                ask(n);
                pending().await
            })
            .grace(grace)
            .await
        });
        let message = result.unwrap_err();
        assert!(message.contains("timer") && message.contains("enable_time"), "{case}: {message}");
        assert_eq!(live.count(), 0, "{case}");
    }
}

#[test]
fn the_grace_of_a_dropped_scope_is_over_at_once() {
    let live = Live::new();
    let result = without_timer(async {
        nursery!(async |_n| -> Result<(), Cancelled> {
            let mut inner = Box::pin(
                nursery!(async |inner| -> Result<(), Cancelled> {
                    for _ in 0..2 {
                        let guard = live.one();
                        let child = inner.spawn(async move {
                            let _guard = guard;
                            pending::<()>().await;
                        });
                        yield_now().await;
                        drop(child.cancel()); // in its own grace
                    }
                    pending().await
                })
                .grace(3600 * SECOND)
                .into_future(),
            );
            assert!(futures::poll!(&mut inner).is_pending());
            drop(inner);
            Ok(())
        })
        .await
    });
    assert!(result.unwrap().is_ok(), "it resolved, so nothing is left");
    assert_eq!(live.count(), 0);
}

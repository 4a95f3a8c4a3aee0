//! `map_cancelled`: scopes whose error type is somebody else's, and cannot be made from `Cancelled`.

use std::fmt;
use std::future::pending;
use std::num::ParseIntError;
use std::time::Duration;

use sc_tokio::{Cancelled, FailFast, OutcomeKind, Reason, Supervise, nursery, scoped};
use tokio::time::Instant;

use crate::support::{Live, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

fn overflow(_: Cancelled) -> ParseIntError {
    "256".parse::<u8>().unwrap_err()
}

#[test]
fn the_scopes_own_errors_and_values_are_left_alone() {
    both_flavours(|| async {
        let parse = async |text: &'static str| {
            nursery!(async |n| -> Result<u8, ParseIntError> {
                Ok(n.spawn(async move { text.parse() }).await) // the child's `?` is the scope's error
            })
            .map_cancelled(|_| unreachable!("nothing is cancelled from outside"))
            .await
        };
        assert_eq!(parse("7").await, Ok(7));
        assert_eq!(parse("x").await, "x".parse::<u8>(), "the child's error, as it is");
    });
}

#[tokio::test(start_paused = true)]
async fn every_way_to_be_cancelled_is_mapped() {
    let mut seen = Vec::new();
    let mut see = |cancelled: Cancelled| {
        seen.push((cancelled.reason(), cancelled.is_inherited()));
        fmt::Error
    };
    let requested = nursery!(async |n| -> Result<(), fmt::Error> {
        n.cancel("here");
        pending().await
    });
    assert_eq!(requested.map_cancelled(&mut see).await, Err(fmt::Error));
    let pressed = nursery!(async |n| -> Result<(), fmt::Error> {
        let stop = n.canceller();
        n.spawn(async move { stop.cancel("there") });
        pending().await
    });
    assert_eq!(pressed.map_cancelled(&mut see).await, Err(fmt::Error));
    let late = nursery!(async |_n| -> Result<(), fmt::Error> { pending().await });
    assert_eq!(late.map_cancelled(&mut see).timeout(SECOND).await, Err(fmt::Error));
    let past = nursery!(async |_n| -> Result<(), fmt::Error> { pending().await });
    assert_eq!(past.deadline(Instant::now()).map_cancelled(&mut see).await, Err(fmt::Error));
    let signalled = nursery!(async |_n| -> Result<(), fmt::Error> { pending().await });
    assert_eq!(signalled.cancel_on(std::future::ready(())).map_cancelled(&mut see).await, Err(fmt::Error));
    let by_policy = nursery!(async |n| -> Result<(), fmt::Error> {
        n.spawn(async {});
        pending().await
    });
    let policy = sc_tokio::policy_fn(|_exit| sc_tokio::Verdict::Cancel).all_exits();
    assert_eq!(by_policy.policy(policy).map_cancelled(&mut see).await, Err(fmt::Error));
    let awaited = nursery!(<Supervise> async |n| -> Result<(), fmt::Error> {
        let child = n.spawn(pending::<()>());
        n.cancel_children("a child that the body needs");
        child.await;
        Ok(())
    });
    assert_eq!(awaited.map_cancelled(&mut see).await, Err(fmt::Error));
    let reasons = [
        Reason::Requested,
        Reason::Requested,
        Reason::Deadline,
        Reason::Deadline,
        Reason::External,
        Reason::Policy,
        Reason::AwaitedChild,
    ];
    assert_eq!(seen, reasons.map(|reason| (reason, false)));
}

#[tokio::test(start_paused = true)]
async fn what_is_inherited_is_mapped_at_each_scope() {
    let mut seen = Vec::new();
    let outer = nursery!(async |n| -> Result<(), fmt::Error> {
        let stop = n.canceller();
        n.spawn(async move {
            tokio::time::sleep(SECOND).await;
            stop.cancel("from above");
        });
        let inner = nursery!(async |_n| -> Result<(), ParseIntError> { pending().await })
            .map_cancelled(|cancelled| {
                seen.push((cancelled.reason(), cancelled.is_inherited()));
                overflow(cancelled)
            })
            .grace(Duration::ZERO) // the outer one's has time left to see it
            .await;
        assert_eq!(inner, "256".parse::<u8>().map(|_| ()));
        inner.map_err(|_| fmt::Error)
    })
    .grace(SECOND)
    .outcome()
    .await;
    assert_eq!(seen, [(Reason::Requested, true)]);
    assert_eq!(outer.kind(), OutcomeKind::Cancelled, "the body's error came after: {outer}");
}

#[test]
fn the_closure_may_keep_the_notice_is_called_once_and_after_the_drain() {
    both_flavours(|| async {
        let (live, mut kept) = (Live::new(), None);
        let result = nursery!(async |n| -> Result<(), fmt::Error> {
            let guard = live.one();
            n.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            n.cancel(std::io::Error::other("a cause"));
            pending().await
        })
        .map_cancelled(|cancelled| {
            assert_eq!(live.count(), 0, "P1");
            assert!(kept.replace(cancelled).is_none());
            fmt::Error
        })
        .named("kept")
        .grace(Duration::ZERO)
        .await;
        assert!(result.is_err());
        let kept = kept.unwrap();
        assert_eq!(kept.origin().name(), Some("kept"), "builder methods come before and after it");
        assert_eq!(kept.cause::<std::io::Error>().unwrap().to_string(), "a cause");
    });
}

#[test]
fn a_panic_goes_on_and_is_not_mapped_and_a_panic_of_the_closure_comes_after_the_drain() {
    both_flavours(|| async {
        use futures::FutureExt;
        use std::panic::AssertUnwindSafe;
        let live = Live::new();
        for in_the_closure in [false, true] {
            let scope = AssertUnwindSafe(async {
                nursery!(async |n| -> Result<(), fmt::Error> {
                    let guard = live.one();
                    n.spawn(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    });
                    assert!(in_the_closure, "in the body");
                    n.cancel("so that there is something to map");
                    pending().await
                })
                .map_cancelled(|_| panic!("in the closure"))
                .await
            });
            let panic = sc_tokio::Panic::new(scope.catch_unwind().await.unwrap_err());
            assert_eq!(panic.message(), Some(if in_the_closure { "in the closure" } else { "in the body" }));
            assert_eq!(live.count(), 0);
        }
    });
}

// On functions.

#[scoped(|n|, map_cancelled = overflow, timeout = Duration::from_secs(1))]
async fn parse(text: &'static str) -> Result<u8, ParseIntError> {
    if text.is_empty() {
        return pending().await;
    }
    Ok(n.spawn(async move { text.parse() }).await)
}

#[scoped(|n|, policy = FailFast, map_cancelled = |cancelled| { *told = Some(cancelled.reason()); fmt::Error })]
async fn write(told: &mut Option<Reason>, out: &mut String) -> Result<(), fmt::Error> {
    use fmt::Write;
    out.write_str("begun")?;
    n.cancel("stop the presses");
    pending().await
}

struct Table(&'static str);

impl Table {
    #[scoped(map_cancelled = |c| { assert!(!c.is_inherited()); fmt::Error }, deadline = Instant::now())]
    async fn render(&self) -> fmt::Result {
        assert!(!self.0.is_empty());
        tokio::task::yield_now().await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn on_scoped_functions_it_takes_paths_and_closures_that_may_use_the_arguments() {
    assert_eq!(parse("7").await, Ok(7));
    assert_eq!(parse("x").await, "x".parse::<u8>());
    assert_eq!(parse("").await, "256".parse::<u8>(), "mapped at the deadline");
    let (mut told, mut out) = (None, String::new());
    assert_eq!(write(&mut told, &mut out).await, Err(fmt::Error));
    assert_eq!((told, out.as_str()), (Some(Reason::Requested), "begun"));
    assert_eq!(Table("t").render().await, Err(fmt::Error));
    // Inherited, too.
    let outer = nursery!(async |_n| -> Result<(), Cancelled> {
        assert_eq!(parse("").await, "256".parse::<u8>());
        unreachable!("the body's time is over with the function's")
    })
    .timeout(SECOND / 2)
    .await;
    assert!(outer.unwrap_err().is_deadline());
}

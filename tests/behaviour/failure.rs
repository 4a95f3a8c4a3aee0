//! P4 and P5: nothing is lost, and the first failure in time decides.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, nursery};
use tokio::task::yield_now;

use crate::support::{Live, both_flavours};

#[test]
fn the_first_failure_cancels_siblings_and_body_and_is_the_result() {
    both_flavours(|| async {
        let live = Live::new();
        let after = Live::new();
        let result = nursery!(async |n| -> Result<(), anyhow::Error> {
            let guard = live.one();
            n.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            n.spawn(async { Err::<(), _>(anyhow::anyhow!("first")) });
            pending::<()>().await;
            std::mem::forget(after.one());
            Ok(())
        })
        .await;
        assert_eq!(result.unwrap_err().to_string(), "first");
        assert_eq!((live.count(), after.count()), (0, 0));
    });
}

#[test]
fn an_error_of_the_body_cancels_the_children_and_is_the_result() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), std::io::Error> {
            n.spawn(pending::<()>());
            yield_now().await;
            Err(std::io::Error::other("body"))
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        assert_eq!(outcome.cancelled().unwrap().reason(), Reason::ChildFailed);
        assert_eq!(outcome.report().cancelled, 1);
        assert_eq!(outcome.into_result().unwrap_err().to_string(), "body");
    });
}

#[test]
fn a_panic_of_a_child_goes_on_after_the_drain_with_its_own_payload() {
    #[derive(Debug, PartialEq)]
    struct Payload(u32);
    both_flavours(|| async {
        let live = Live::new();
        let guard = live.one();
        let scope = async {
            nursery!(async |n| -> Result<(), Cancelled> {
                n.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                n.spawn(async { std::panic::panic_any(Payload(7)) });
                pending().await
            })
            .await
        };
        let payload = futures::FutureExt::catch_unwind(AssertUnwindSafe(scope)).await.unwrap_err();
        assert_eq!(payload.downcast_ref::<Payload>(), Some(&Payload(7)));
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn outcome_never_unwinds_and_keeps_the_panic() {
    both_flavours(|| async {
        let outcome = nursery!(async |_n| -> Result<(), Cancelled> { panic!("at once") }).outcome().await;
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        assert_eq!(outcome.failures()[0].as_panic().unwrap().message(), Some("at once"));
        let resumed = catch_unwind(AssertUnwindSafe(|| outcome.into_result())).unwrap_err();
        assert_eq!(*resumed.downcast_ref::<&str>().unwrap(), "at once");
    });
}

#[test]
fn later_failures_are_secondary_and_all_are_in_the_outcome() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), String> {
            let scope = n.canceller();
            n.spawn(async move {
                while !scope.is_cancelled() {
                    yield_now().await;
                }
                Err::<(), _>(String::from("second"))
            });
            n.spawn(async { Err::<(), _>(String::from("first")) });
            let cancelled = n.cancelled().await;
            assert_eq!(cancelled.reason(), Reason::ChildFailed);
            Err(String::from("third"))
        })
        .grace(Duration::from_secs(3600))
        .outcome()
        .await;
        let [Failure::Error(first), further @ ..] = outcome.failures() else { panic!("{outcome:?}") };
        assert_eq!(first, "first");
        let mut further: Vec<_> = further.iter().map(ToString::to_string).collect();
        further.sort();
        assert_eq!(further, ["second", "third"]);
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
    });
}

#[test]
fn what_fails_at_the_same_moment_is_ranked_panic_before_error() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }
    struct Code(#[allow(dead_code, reason = "dropped with the future")] PanicsOnDrop);
    impl Future for Code {
        type Output = Result<(), String>;
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), String>> {
            std::task::Poll::Ready(Err("returned".into()))
        }
    }
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), String> {
            n.spawn(Code(PanicsOnDrop));
            pending().await
        })
        .outcome()
        .await;
        let [Failure::Panic(first), Failure::Error(second)] = outcome.failures() else { panic!("{outcome:?}") };
        assert_eq!(first.message(), Some("in the destructor"));
        assert_eq!(second, "returned");
    });
}

#[test]
fn a_panic_in_the_destructor_of_an_unread_output_counts() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("unread");
        }
    }
    both_flavours(|| async {
        for finished_first in [false, true] {
            let outcome = nursery!(async |n| -> Result<(), Cancelled> {
                let child = n.spawn(async { Ok(Bomb) });
                while finished_first && !child.is_finished() {
                    yield_now().await;
                }
                drop(child);
                Ok(())
            })
            .outcome()
            .await;
            assert_eq!(outcome.kind(), OutcomeKind::Failed, "{outcome:?}");
            assert_eq!(outcome.failures()[0].as_panic().unwrap().message(), Some("unread"));
            assert_eq!(outcome.value(), Some(&()), "a value that was produced is kept (P5)");
        }
    });
}

#[test]
fn failures_beyond_the_bound_are_counted_and_not_kept() {
    both_flavours(|| async {
        let outcome = nursery!(<sc_tokio::Supervise> async |n| -> Result<(), u32> {
            for i in 0..100 {
                n.spawn(async move { Err::<(), _>(i) });
            }
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Partial);
        assert_eq!(outcome.failures().len(), sc_tokio::FAILURES_KEPT);
        assert_eq!(outcome.report().failed, 100);
        assert_eq!(outcome.report().failures_unkept, 100 - sc_tokio::FAILURES_KEPT as u64);
    });
}

#[test]
fn a_cancel_that_cuts_nothing_short_leaves_ok() {
    both_flavours(|| async {
        let value = nursery!(async |n| -> Result<u8, Cancelled> {
            let child = n.spawn(async { Ok(1) });
            let value = child.await;
            n.cancel("too late to matter");
            Ok(value)
        })
        .await;
        assert_eq!(value.unwrap(), 1, "P5");
    });
}

#[test]
fn a_cancel_that_cuts_something_short_is_an_error_and_keeps_the_value() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<u8, Cancelled> {
            n.spawn(pending::<()>());
            n.cancel("stop");
            Ok(9)
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Cancelled);
        assert_eq!(outcome.into_value(), Some(9));
    });
}

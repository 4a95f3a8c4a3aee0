//! P6: cancellation is a state with one reason, which goes down and never up.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, OutcomeKind, Reason, ScopeEnd, nursery};
use tokio::task::yield_now;

use crate::support::both_flavours;

#[derive(Debug, PartialEq)]
struct Overloaded(u32);

impl std::fmt::Display for Overloaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "overloaded by {}", self.0)
    }
}

impl std::error::Error for Overloaded {}

#[test]
fn the_first_reason_wins() {
    both_flavours(|| async {
        let cancelled = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("first");
            n.cancel("second");
            n.canceller().cancel("third");
            pending().await
        })
        .timeout(Duration::ZERO.saturating_add(Duration::from_secs(3600)))
        .await
        .unwrap_err();
        assert_eq!(cancelled.reason(), Reason::Requested);
        assert!(cancelled.to_string().ends_with(": first"), "{cancelled}");
    });
}

#[test]
fn the_cause_is_found_by_its_type_and_text_is_not_a_type() {
    both_flavours(|| async {
        let cancelled = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel(Overloaded(3));
            pending().await
        })
        .await
        .unwrap_err();
        assert_eq!(cancelled.cause::<Overloaded>(), Some(&Overloaded(3)));
        assert!(cancelled.cause::<std::io::Error>().is_none());
        let cancelled = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("text");
            pending().await
        })
        .await
        .unwrap_err();
        assert!(cancelled.cause::<Overloaded>().is_none());
    });
}

#[test]
fn a_nested_scope_inherits_reason_and_origin_unchanged() {
    both_flavours(|| async {
        let (sender, inherited) = tokio::sync::oneshot::channel();
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn(async move {
                let inner = nursery!(async |inner| -> Result<(), Cancelled> {
                    let notice = inner.cancelled().await;
                    let _ = sender.send(notice);
                    Ok(())
                })
                .named("inner")
                .grace(Duration::from_secs(3600));
                inner.await
            });
            yield_now().await;
            n.cancel("from above");
            n.cancelled().await;
            Ok(())
        })
        .named("outer")
        .grace(Duration::from_secs(3600))
        .await;
        let cancelled = inherited.await.unwrap();
        assert_eq!(cancelled.origin().name(), Some("outer"));
        assert!(cancelled.is_inherited());
        assert!(cancelled.to_string().ends_with("from above, inherited"), "{cancelled}");
        assert!(result.is_ok(), "nothing was cut short");
    });
}

#[test]
fn nothing_travels_upwards_or_sideways() {
    both_flavours(|| async {
        let value = nursery!(async |n| -> Result<u8, Cancelled> {
            let sibling = n.spawn(async {
                for _ in 0..10 {
                    yield_now().await;
                }
                Ok(5)
            });
            let inner = nursery!(async |inner| -> Result<(), Cancelled> {
                inner.cancel("only here");
                pending().await
            })
            .await;
            assert!(inner.is_err());
            assert!(!n.is_cancelled(), "a scope that returned `Err` does not cancel its caller");
            Ok(sibling.await)
        })
        .await;
        assert_eq!(value.unwrap(), 5);
    });
}

#[test]
fn cancel_drops_the_body_at_its_next_await_and_not_before() {
    both_flavours(|| async {
        let mut reached = (false, false);
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("now");
            reached.0 = true;
            yield_now().await;
            reached.1 = true;
            Ok(())
        })
        .await;
        assert!(result.is_err());
        assert_eq!(reached, (true, false));
    });
}

#[test]
fn cancel_children_stops_those_present_once_and_the_scope_goes_on() {
    both_flavours(|| async {
        let value = nursery!(async |n| -> Result<u8, Cancelled> {
            let first = n.spawn(pending::<()>());
            let unpolled = n.spawn(pending::<()>());
            yield_now().await;
            n.cancel_children("round two");
            let failure = first.join().await.unwrap_err();
            assert!(failure.as_cancelled().unwrap().to_string().ends_with(": round two"), "{failure:?}");
            assert!(unpolled.join().await.unwrap_err().is_cancelled());
            assert!(!n.is_cancelled());
            let second = n.spawn(async { Ok(2) });
            Ok(second.await)
        })
        .await;
        assert_eq!(value.unwrap(), 2, "children stopped from inside never turn `Ok` into `Err` (P5)");
    });
}

#[test]
fn of_several_calls_of_cancel_children_each_child_obeys_the_first_it_was_present_at() {
    both_flavours(|| async {
        nursery!(async |n| -> Result<(), Cancelled> {
            let first = n.spawn(pending::<()>());
            n.cancel_children("one");
            n.cancel_children("nobody came since");
            let second = n.spawn(pending::<()>());
            n.cancel_children("two");
            for (child, why) in [(first, "one"), (second, "two")] {
                let failure = child.join().await.unwrap_err();
                assert!(failure.as_cancelled().unwrap().to_string().ends_with(why), "{failure:?}, expected {why}");
            }
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_canceller_works_from_anywhere_and_after_the_end() {
    both_flavours(|| async {
        let mut kept = None;
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            let stop = n.canceller();
            kept = Some(stop.clone());
            let _thread = std::thread::Builder::new().spawn(move || stop.cancel("from a thread"));
            pending().await
        })
        .await;
        assert!(result.unwrap_err().to_string().ends_with("from a thread"));
        let kept = kept.unwrap();
        kept.cancel("too late");
        assert!(kept.is_cancelled() && kept.is_closed());
    });
}

#[test]
fn a_token_is_cancelled_with_the_scope_and_cancels_nothing_itself() {
    both_flavours(|| async {
        let mut late = None;
        let mut made_afterwards = None;
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            let token = n.token();
            token.cancel();
            yield_now().await;
            assert!(!n.is_cancelled());
            let watched = n.token();
            n.spawn(async move { watched.cancelled().await });
            late = Some(n.token());
            n.cancel("stop");
            made_afterwards = Some(n.token().is_cancelled());
            pending().await
        })
        .grace(Duration::from_millis(1))
        .await;
        assert!(result.is_err());
        assert!(late.unwrap().is_cancelled());
        assert_eq!(made_afterwards, Some(true), "it is born cancelled");
    });
}

#[test]
fn cancel_on_cancels_as_external() {
    both_flavours(|| async {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn(async move {
                yield_now().await;
                stop.send(()).unwrap();
            });
            pending().await
        })
        .cancel_on(async { drop(stopped.await) })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Cancelled);
        assert_eq!(outcome.cancelled().unwrap().reason(), Reason::External);
    });
}

#[test]
fn cancel_on_is_listened_to_before_the_body_and_while_the_scope_is_closing() {
    both_flavours(|| async {
        let born = nursery!(async |n| -> Result<(), Cancelled> {
            assert!(n.is_cancelled());
            pending().await
        })
        .cancel_on(std::future::ready(()))
        .await;
        assert_eq!(born.unwrap_err().reason(), Reason::External);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let mut stop = Some(stop);
        let closing = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn(pending::<()>());
            let stop = stop.take().unwrap();
            n.spawn(async move {
                for _ in 0..10 {
                    yield_now().await; // the body has ended by now
                }
                stop.send(()).unwrap();
            });
            Ok(())
        })
        .cancel_on(async { drop(stopped.await) })
        .await;
        assert_eq!(closing.unwrap_err().reason(), Reason::External);
    });
}

#[test]
fn a_foreign_error_type_is_served_by_map_cancelled() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<(), std::fmt::Error> {
            n.cancel("x");
            pending().await
        })
        .map_cancelled(|_| std::fmt::Error)
        .await;
        assert_eq!(result, Err(std::fmt::Error));
    });
}

#[test]
fn io_errors_boxed_errors_and_anyhow_take_a_cancellation() {
    both_flavours(|| async {
        let io = nursery!(async |n| -> std::io::Result<()> {
            n.cancel("x");
            pending().await
        })
        .await
        .unwrap_err();
        assert!(io.get_ref().unwrap().is::<Cancelled>());
        let any = nursery!(async |n| -> anyhow::Result<()> {
            n.cancel("x");
            pending().await
        })
        .await
        .unwrap_err();
        assert!(any.is::<Cancelled>());
        type Boxed = Box<dyn std::error::Error + Send + Sync>;
        let boxed = nursery!(async |n| -> Result<(), Boxed> {
            n.cancel("x");
            pending().await
        })
        .await
        .unwrap_err();
        assert!(boxed.is::<Cancelled>());
    });
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_stopped_first_hands_its_own_reason_down_even_if_it_has_not_looked_since() {
    let grace = Duration::from_secs(1);
    let (tell, told) = tokio::sync::oneshot::channel();
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.task().grace(grace).spawn(async move {
            nursery!(async |below| -> Result<(), Cancelled> {
                below.defer(async move |end: ScopeEnd| {
                    let _ = tell.send(end.cancelled().map(ToString::to_string));
                });
                pending().await
            })
            .await
        });
        yield_now().await;
        drop(child.cancel());
        n.cancel("the whole");
        Ok(())
    })
    .outcome()
    .await;
    assert!(outcome.is_ok(), "{outcome:?}");
    let why = told.await.unwrap().unwrap();
    assert!(!why.contains("the whole"), "{why}");
}

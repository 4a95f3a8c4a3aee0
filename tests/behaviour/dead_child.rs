//! The dead-child rule: awaiting a child that can give no value ends the awaiting frame.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, Scope, Supervise, nursery};
use tokio::task::yield_now;

use crate::support::both_flavours;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn in_the_body_whatever_the_grace() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<(), String> {
            let child = n.spawn(async { Err::<(), _>(String::from("dead")) });
            child.await;
            unreachable!("a failed child gives no value")
        })
        .grace(LONG)
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(result.unwrap_err(), "dead");
    });
}

#[test]
fn under_supervise_the_failure_goes_to_the_frame_that_awaited() {
    both_flavours(|| async {
        let outcome = nursery!(<Supervise> async |n| -> Result<(), String> {
            n.spawn(async { Err::<(), _>(String::from("needed")) }).await;
            unreachable!("a failed child gives no value")
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        assert!(matches!(outcome.failures(), [Failure::Error(e)] if e == "needed"), "{outcome:?}");
    });
}

#[test]
fn in_a_spawn_with_child_that_awaits_a_cancelled_sibling() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let waiter = n.task().isolated().spawn_with(async |n: &Scope<Cancelled>| {
                let sibling = n.spawn(pending::<()>());
                yield_now().await;
                n.cancel_children("all of you");
                sibling.await;
                unreachable!("a cancelled sibling gives no value")
            });
            assert!(waiter.join().await.err().is_some_and(|failure| failure.is_cancelled()));
            Ok(())
        })
        .grace(Duration::from_millis(1))
        .outcome()
        .await;
        assert!(outcome.is_ok(), "{outcome:?}");
    });
}

#[test]
fn in_select_and_join() {
    both_flavours(|| async {
        for shape in 0..3 {
            let result = nursery!(async |n| -> Result<(), String> {
                let mut child = n.spawn(async { Err::<(), _>(String::from("dead")) });
                match shape {
                    0 => tokio::select! { () = &mut child => {}, () = pending() => {} },
                    1 => {
                        let _: ((), ()) = tokio::join!(child, pending());
                    }
                    _ => {
                        futures::future::join_all([child]).await;
                    }
                }
                unreachable!("shape {shape}")
            })
            .grace(LONG)
            .map_cancelled(|c| c.to_string())
            .await;
            assert_eq!(result.unwrap_err(), "dead");
        }
    });
}

#[test]
fn in_a_nested_block_on() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<(), String> {
            let child = n.spawn(async { Err::<(), _>(String::from("dead")) });
            while !child.is_finished() {
                yield_now().await;
            }
            futures::executor::block_on(child);
            unreachable!("a nested executor is unwound")
        })
        .grace(LONG)
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(result.unwrap_err(), "dead");
    });
}

#[test]
fn a_nested_scope_that_awaits_an_outer_child_ends_and_the_error_stays_with_its_owner() {
    both_flavours(|| async {
        let outcome = nursery!(<Supervise> async |n| -> Result<(), String> {
            let outer_child = n.spawn(async { Err::<(), _>(String::from("of the outer scope")) });
            let inner = nursery!(async |_inner| -> Result<(), Cancelled> {
                outer_child.await;
                unreachable!("no value")
            })
            .await;
            assert_eq!(inner.unwrap_err().reason(), Reason::AwaitedChild);
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Partial);
        assert!(matches!(outcome.failures(), [Failure::Error(e)] if e == "of the outer scope"), "{outcome:?}");
    });
}

#[test]
fn in_a_borrowed_child_that_is_given_the_future() {
    both_flavours(|| async {
        // A borrowed child cannot hold a sibling's handle (P2); it can open a nursery and await there.
        let result = nursery!(async |n| -> Result<u8, String> {
            let borrowed = n.spawn_borrowed(async {
                nursery!(async |inner| -> Result<u8, String> {
                    inner.spawn(async { Err::<(), _>(String::from("inner")) }).await;
                    unreachable!("no value")
                })
                .map_cancelled(|c| c.to_string())
                .await
            });
            Ok(borrowed.await)
        })
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(result.unwrap_err(), "inner");
    });
}

#[test]
fn a_ready_branch_in_the_same_poll_does_not_save_the_frame_from_its_next_await() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<(), String> {
            let mut child = n.spawn(async { Err::<(), _>(String::from("dead")) });
            while !child.is_finished() {
                yield_now().await;
            }
            tokio::select! {
                biased;
                () = &mut child => unreachable!("no value"),
                () = std::future::ready(()) => {}
            }
            yield_now().await;
            unreachable!("the frame awaited a dead child")
        })
        .grace(LONG)
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(result.unwrap_err(), "dead");
    });
}

/// A time-out puts a scope around the child's code, and a shield does: neither is the frame that has to end.
#[tokio::test(start_paused = true)]
async fn in_a_child_with_a_time_out_or_a_shield_that_is_in_its_grace() {
    const SECOND: Duration = Duration::from_secs(1);
    for (timeout, shielded) in [(false, false), (true, false), (false, true), (true, true)] {
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let mut task = n.task();
            if timeout {
                task = task.timeout(LONG);
            }
            if shielded {
                task = task.shielded(LONG);
            }
            task.spawn_with(async |n: &Scope<Cancelled>| {
                n.task().grace(SECOND).spawn(pending::<()>()).await;
                unreachable!("a cancelled sibling gives no value")
            });
            yield_now().await;
            n.cancel("all of you");
            Ok(())
        })
        .grace(LONG)
        .outcome()
        .await;
        let drained_in = outcome.report().drained_in;
        assert_eq!(drained_in, Some(SECOND), "timeout {timeout}, shielded {shielded}: {outcome:?}");
    }
}

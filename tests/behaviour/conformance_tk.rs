//! What the suites of Trio, anyio, asyncio and kotlinx.coroutines assert and no other file here shows. Above each test
//! are the rows of `tests/CONFORMANCE-TK.md` that name it. Here: the life of a scope.

mod failing;
mod stopping;
mod timing;
mod using;

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sc_tokio::{Cancelled, Canceller, OutcomeKind, Reason, Root, Scope, Supervise, nursery};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::support::{Live, both_flavours, hooked};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Counts the polls of a future.
async fn counted<F: Future>(polls: &AtomicUsize, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.fetch_add(1, Ordering::SeqCst);
        future.as_mut().poll(cx)
    })
    .await
}

// TK-SX-05, TK-SX-06, TK-CP-06
#[test]
fn a_scope_opened_under_a_cancelled_one_that_notices_nothing_ends_well_and_keeps_its_value() {
    both_flavours(|| async {
        for supervised in [false, true] {
            let mut inner_kind = None;
            let outer = nursery!(async |n| -> Result<u8, Cancelled> {
                n.cancel("before the inner one");
                let inner = nursery!(async |inner| -> Result<u8, Cancelled> {
                    assert!(inner.is_cancelled(), "from birth");
                    Ok(7)
                });
                let inner = if supervised { inner.policy(Supervise) } else { inner };
                let inner = inner.outcome().await;
                inner_kind = Some(inner.kind());
                Ok(inner.into_value().unwrap_or_default())
            })
            .outcome()
            .await;
            assert_eq!((inner_kind, outer.kind()), (Some(OutcomeKind::Ok), OutcomeKind::Ok), "nothing was cut short");
            assert_eq!(outer.cancelled().map(Cancelled::reason), Some(Reason::Requested));
            assert_eq!(outer.into_value(), Some(7));
        }
    });
}

// TK-SX-09, TK-CP-02
#[tokio::test(start_paused = true)]
async fn a_cancelled_scope_is_closed_when_its_last_child_has_ended_and_not_before() {
    for body_fails in [false, true] {
        let button = OnceLock::<Canceller>::new();
        let mut scope = Box::pin(
            nursery!(async |n| -> Result<(), String> {
                button.set(n.canceller()).unwrap();
                n.spawn_with(async |n: &Scope<String>| {
                    n.cancelled().await;
                    sleep(SECOND).await;
                });
                if body_fails { Err(String::from("the body")) } else { Ok(()) }
            })
            .grace(60 * SECOND)
            .outcome(),
        );
        assert!(futures::poll!(scope.as_mut()).is_pending());
        let button = button.get().unwrap();
        if !body_fails {
            yield_now().await;
            assert!(!button.is_cancelled(), "the body is done, the child waits");
            button.cancel("now");
        }
        assert!(button.is_cancelled() && !button.is_closed());
        sleep(SECOND / 2).await;
        assert!(futures::poll!(scope.as_mut()).is_pending());
        assert!(button.is_cancelled() && !button.is_closed(), "the child tidies up");
        let outcome = scope.await;
        assert_eq!(outcome.is_ok(), !body_fails, "{outcome:?}");
        assert!(button.is_closed());
    }
}

// TK-SX-11
#[test]
fn what_is_left_of_a_scope_that_ended_well_says_so_and_keeps_nothing_alive() {
    both_flavours(|| async {
        let (live, mut kept) = (Live::new(), None);
        let guard = live.one();
        nursery!(async |n| -> Result<(), Cancelled> {
            kept = Some(n.canceller());
            n.spawn(async move { drop(guard) });
            Ok(())
        })
        .await
        .unwrap();
        let button = kept.unwrap();
        assert_eq!((button.is_closed(), button.is_cancelled(), live.count()), (true, false, 0));
        button.cancel("too late");
        assert!(!button.is_cancelled(), "nothing is left to cancel");
    });
}

// TK-SX-16
#[test]
fn what_fails_while_it_is_ended_with_the_program_reaches_the_hook() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("left over, and broken");
        }
    }
    let told = hooked("left over, and broken", || {
        both_flavours(|| async {
            let main = async {
                let bomb = Bomb;
                sc_tokio::spawn(async move {
                    let _bomb = bomb;
                    pending::<()>().await;
                });
            };
            let ended = Root::new().run(main).await;
            assert_eq!(ended.left_behind().len(), 1);
        });
    });
    assert_eq!(told.len(), 2, "once per flavour (P4): {told:?}");
}

// TK-SV-10
#[sc_tokio::test]
#[should_panic(expected = "of a task")]
async fn a_test_fails_whose_task_fails_when_its_body_is_done() {
    sc_tokio::spawn(async {
        yield_now().await;
        panic!("of a task");
    });
}

//! Borrowed children: in the body's task, borrowing from around the block.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};

use sc_tokio::{Cancelled, nursery};
use tokio::task::yield_now;

use crate::support::{Live, both_flavours};

#[test]
fn they_borrow_from_around_the_block_and_are_joined() {
    both_flavours(|| async {
        let texts = [String::from("a"), String::from("bc"), String::from("def")];
        let total = AtomicUsize::new(0);
        let sum = nursery!(async |n| -> Result<usize, Cancelled> {
            let lengths: Vec<_> = texts
                .iter()
                .map(|text| {
                    n.spawn_borrowed(async {
                        yield_now().await;
                        total.fetch_add(text.len(), Ordering::SeqCst);
                        Ok(text.len())
                    })
                })
                .collect();
            let mut sum = 0;
            for length in lengths {
                sum += length.await;
            }
            Ok(sum)
        })
        .await;
        assert_eq!((sum.unwrap(), total.into_inner()), (6, 6));
    });
}

#[test]
fn with_async_move_they_borrow_what_was_moved_in() {
    both_flavours(|| async {
        let text = String::from("moved");
        let scope = nursery!(async move |n| -> Result<usize, Cancelled> {
            let length = n.spawn_borrowed(async { Ok(text.len()) });
            Ok(length.await)
        });
        assert_eq!(scope.await.unwrap(), 5);
    });
}

#[test]
fn they_are_dropped_with_a_cancelled_scope_and_with_a_dropped_one() {
    both_flavours(|| async {
        for drop_it in [false, true] {
            let live = Live::new();
            let scope = nursery!(async |n| -> Result<(), Cancelled> {
                for _ in 0..100 {
                    let guard = live.one();
                    n.spawn_borrowed(async {
                        let _guard = guard;
                        pending::<()>().await;
                    });
                }
                yield_now().await;
                if !drop_it {
                    n.cancel("stop");
                }
                pending().await
            })
            .outcome();
            if drop_it {
                let mut scope = Box::pin(scope);
                for _ in 0..5 {
                    assert!(futures::poll!(scope.as_mut()).is_pending());
                    yield_now().await;
                }
                assert_eq!(live.count(), 100);
                drop(scope);
            } else {
                assert_eq!(scope.await.report().cancelled, 100);
            }
            assert_eq!(live.count(), 0);
        }
    });
}

#[test]
fn their_errors_and_panics_are_the_scopes() {
    both_flavours(|| async {
        let error = nursery!(async |n| -> Result<(), String> {
            n.spawn_borrowed(async { Err::<(), _>(String::from("borrowed")) });
            pending().await
        })
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(error.unwrap_err(), "borrowed");
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn_borrowed(async { panic!("a borrowed panic aborts nobody") });
            pending().await
        })
        .outcome()
        .await;
        assert!(outcome.failures()[0].is_panic());
    });
}

#[test]
fn one_can_be_stopped_alone() {
    both_flavours(|| async {
        let live = Live::new();
        let value = nursery!(async |n| -> Result<u8, Cancelled> {
            let guard = live.one();
            let endless = n.task().name("endless").spawn_borrowed(async {
                let _guard = guard;
                pending::<()>().await;
            });
            yield_now().await;
            endless.cancel().await;
            assert_eq!(live.count(), 0);
            let other = n.spawn_borrowed(async { Ok(1) });
            Ok(other.await)
        })
        .await;
        assert_eq!(value.unwrap(), 1);
    });
}

#[test]
fn they_open_nurseries_of_their_own() {
    both_flavours(|| async {
        let sum = nursery!(async |n| -> Result<u32, Cancelled> {
            let outer = n.spawn_borrowed(async {
                nursery!(async |inner| -> Result<u32, Cancelled> {
                    let (a, b) = (inner.spawn(async { Ok(1) }), inner.spawn_borrowed(async { Ok(2) }));
                    Ok(a.await + b.await)
                })
                .await
            });
            Ok(outer.await)
        })
        .await;
        assert_eq!(sum.unwrap(), 3);
    });
}

#[tokio::test(start_paused = true)]
async fn the_reported_duration_includes_one_that_outlasts_the_body() {
    let second = std::time::Duration::from_secs(1);
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn_borrowed(tokio::time::sleep(2 * second));
        tokio::time::sleep(second).await;
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(outcome.report().duration, 2 * second);
}

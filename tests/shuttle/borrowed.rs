//! Borrowed children, which live in the body's task and are woken from others; and tokens (P2, P6).

use std::sync::atomic::{AtomicUsize, Ordering};

use sc_tokio::{Cancelled, nursery};
use shuttle_tokio::sync::oneshot;

use crate::support::{Flag, Live, Seen, block_on, cancel_some_time, explore, linger, outside};

#[test]
fn a_borrowed_child_woken_from_another_task_while_the_scope_is_cancelled_ends() {
    explore(&["both ended", "one ended", "none ended"], |seen: &Seen| {
        let (live, count) = (Live::default(), AtomicUsize::new(0));
        block_on(async {
            let mut rivals = Vec::new();
            let result: Result<(), Cancelled> = nursery!(async |n| {
                rivals.push(cancel_some_time(n.canceller()));
                let mut handles = Vec::new();
                for _ in 0..2 {
                    let (sender, receiver) = oneshot::channel::<()>();
                    rivals.push(outside(async move {
                        linger().await;
                        let _ = sender.send(());
                    }));
                    let alive = live.value();
                    let count = &count;
                    handles.push(n.spawn_borrowed(async move {
                        let _alive = alive;
                        let _ = receiver.await;
                        count.fetch_add(1, Ordering::SeqCst);
                    }));
                }
                for handle in handles {
                    handle.await;
                }
                Ok(())
            })
            .await;
            assert_eq!(live.count(), 0, "P1");
            assert!(result.is_err() || count.load(Ordering::SeqCst) == 2);
            for rival in rivals {
                rival.await.unwrap();
            }
        });
        seen.saw(["none ended", "one ended", "both ended"][count.load(Ordering::SeqCst)]);
    });
}

#[test]
fn a_borrowed_child_stopped_by_its_handle_while_it_is_woken_ends() {
    explore(&["ended", "stopped"], |seen: &Seen| {
        let (live, ended) = (Live::default(), Flag::default());
        let result: Result<(), Cancelled> = block_on(async {
            let (sender, receiver) = oneshot::channel::<()>();
            let rival = outside(async move {
                linger().await;
                let _ = sender.send(());
            });
            let result = nursery!(async |n| {
                let (alive, ended) = (live.value(), &ended);
                let child = n.spawn_borrowed(async move {
                    let _alive = alive;
                    let _ = receiver.await;
                    ended.raise();
                });
                linger().await;
                child.cancel().await;
                assert_eq!(live.count(), 0, "gone when the stop resolved");
                Ok(())
            })
            .await;
            rival.await.unwrap();
            result
        });
        assert!(result.is_ok(), "P5");
        seen.saw(if ended.is_up() { "ended" } else { "stopped" });
    });
}

#[test]
fn a_token_made_while_the_scope_is_cancelled_is_cancelled() {
    explore(&["made before", "made after"], |seen: &Seen| {
        let after = Flag::default();
        block_on(async {
            let mut rivals = Vec::new();
            let _: Result<(), Cancelled> = nursery!(async |n| {
                rivals.push(cancel_some_time(n.canceller()));
                (0..crate::support::a_few()).for_each(|_| sc_tokio::explored::preempt());
                if n.is_cancelled() {
                    after.raise();
                }
                let token = n.token();
                // It would never return.
                rivals.push(outside(async move { token.cancelled().await }));
                let second = n.token();
                rivals.push(outside(async move { second.cancelled().await }));
                std::future::pending().await
            })
            .await;
            for rival in rivals {
                rival.await.unwrap();
            }
        });
        seen.saw(if after.is_up() { "made after" } else { "made before" });
    });
}

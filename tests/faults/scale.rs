//! Many: children, failures, levels (P11). A tree of any depth ends in constant stack.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use sc_tokio::{Cancelled, FAILURES_KEPT, OutcomeKind, Reason, Scope, Supervise, nursery};
use tokio_util::sync::CancellationToken;

use crate::support::{Live, listen, parallel, paused, poll_once, told, unique, until};

const MANY: usize = 100_000;

/// P1, P11.
#[test]
fn many_parked_children_are_cancelled_and_joined() {
    parallel(|| async {
        let live = Live::default();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            for _ in 0..MANY {
                let guard = live.guard();
                let _ = n.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
            }
            assert_eq!(n.len(), MANY);
            n.cancel("enough");
            pending().await
        })
        .await;
        assert_eq!(result.unwrap_err().reason(), Reason::Requested);
        assert_eq!(live.count(), 0);
    });
}

/// One task per level, each with a nursery that holds the next.
fn tower(height: usize, live: Live, built: CancellationToken) -> BoxFuture<'static, Result<(), Cancelled>> {
    let guard = live.guard();
    Box::pin(async move {
        let _guard = guard;
        if height == 0 {
            built.cancel();
            return pending().await;
        }
        nursery!(async move |n| {
            n.spawn(tower(height - 1, live, built)).await;
            Ok(())
        })
        .await
    })
}

/// P11: the cancellation goes down, the ends come up, both in loops.
#[test]
fn a_tower_of_tasks_is_cancelled_and_torn_down() {
    parallel(|| async {
        let (live, built) = (Live::default(), CancellationToken::new());
        let (values, token) = (live.clone(), built.clone());
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let _ = n.spawn(tower(MANY, values, token));
            built.cancelled().await;
            n.cancel("high enough");
            pending().await
        })
        .await;
        assert_eq!(result.unwrap_err().reason(), Reason::Requested);
        assert_eq!(live.count(), 0);
    });
}

/// P3, P11: the future of the scope on top is dropped.
#[test]
fn a_tower_of_tasks_whose_top_is_dropped_is_torn_down() {
    parallel(|| async {
        let (live, built) = (Live::default(), CancellationToken::new());
        let top = nursery!(async |n| -> Result<(), Cancelled> {
            let _ = n.spawn(tower(MANY, live.clone(), built.clone()));
            pending().await
        });
        let result: Result<(), Cancelled> = nursery!(async |_n| {
            tokio::select! {
                _ = top.into_future() => unreachable!("it is endless"),
                () = built.cancelled() => {}
            }
            Ok(())
        })
        .await;
        assert!(result.is_ok());
        assert_eq!(live.count(), 0);
    });
}

/// One task per level; at a signal each leaves the scope it opened in its own way.
fn falling(height: usize, live: Live, built: CancellationToken, forget: bool) -> BoxFuture<'static, ()> {
    let guard = live.guard();
    Box::pin(async move {
        let _guard = guard;
        if height == 0 {
            return built.cancel();
        }
        let (values, token) = (live, built.clone());
        let mut scope: Pin<Box<_>> = Box::pin(
            nursery!(async move |n| -> Result<(), Cancelled> {
                let _ = n.spawn(falling(height - 1, values, token, forget));
                pending().await
            })
            .into_future(),
        );
        assert!(poll_once(scope.as_mut()).is_pending());
        built.cancelled().await;
        if forget {
            std::mem::forget(scope);
        }
    })
}

#[track_caller]
fn fall(forget: bool) {
    parallel(move || async move {
        let (live, built) = (Live::default(), CancellationToken::new());
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let _ = n.spawn(falling(MANY, live.clone(), built, forget));
            Ok(())
        })
        .await;
        assert!(result.is_ok());
        assert_eq!(live.count(), 0);
    });
}

/// P3, P11.
#[test]
fn a_chain_of_dropped_scopes_is_torn_down() {
    fall(false);
}

/// P3, P11.
#[test]
fn a_chain_of_forgotten_scopes_is_torn_down() {
    fall(true);
}

/// P7: whatever is cut grows again, until growing is refused.
#[test]
fn children_that_respawn_two_each_cannot_keep_a_cancelled_scope_alive() {
    fn hydra(n: &Scope<Cancelled>, born: Arc<AtomicUsize>) {
        let _ = n.spawn_with(async move |n: &Scope<Cancelled>| {
            born.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            hydra(n, Arc::clone(&born));
            hydra(n, born);
        });
    }
    parallel(|| async {
        let born = Arc::new(AtomicUsize::new(0));
        let heads = Arc::clone(&born);
        let result: Result<(), Cancelled> = nursery!(async |n| {
            hydra(n, heads);
            until(|| born.load(Ordering::SeqCst) > 500).await;
            n.cancel("the sword");
            pending().await
        })
        .await;
        assert_eq!(result.unwrap_err().reason(), Reason::Requested);
        let dead = born.load(Ordering::SeqCst);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(born.load(Ordering::SeqCst), dead);
    });
}

/// P4: the list is bounded, the rest goes to the hook, and nothing is counted twice.
#[test]
fn failures_beyond_the_bound_go_to_the_hook() {
    listen();
    paused(|| async {
        let text = unique("too many");
        let message = text.clone();
        let outcome = nursery!(<Supervise> async |n| -> anyhow::Result<()> {
            for _ in 0..FAILURES_KEPT + 36 {
                let message = message.clone();
                let _ = n.spawn(async { Err::<(), _>(anyhow::Error::msg(message)) });
            }
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Partial);
        assert_eq!(outcome.failures().len(), FAILURES_KEPT);
        assert_eq!(outcome.report().failures_unkept, 36);
        assert_eq!(told(&text), 36);
    });
}

/// P11: run in a process of its own, where nobody else allocates.
#[test]
fn an_accept_loop_stays_flat() {
    let me = std::env::current_exe().expect("the test binary");
    let mut alone = std::process::Command::new(me);
    alone.args(["--exact", "scale::accept_loop", "--ignored", "--test-threads=1"]);
    let output = alone.output().expect("the test binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Pages of memory that the process holds.
fn pages() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_whitespace().nth(1)?.parse().ok()
}

#[test]
#[ignore = "run by `an_accept_loop_stays_flat`, alone"]
fn accept_loop() {
    parallel(|| async {
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let mut before = None;
            for i in 0..300_000_usize {
                let output = n.spawn(async move {
                    if i % 3 == 0 {
                        tokio::task::yield_now().await;
                    }
                    Ok(vec![i])
                });
                // Left, taken, and stopped ones.
                match i % 4 {
                    0 => drop(output),
                    1 => drop(output.cancel()),
                    _ => assert_eq!(output.await, [i]),
                }
                if i == 100_000 {
                    before = pages();
                }
            }
            if let (Some(before), Some(after)) = (before, pages()) {
                assert!(after < before + 2_048, "from {before} to {after} pages");
            }
            Ok(())
        })
        .await;
        assert!(result.is_ok());
    });
}

//! A scope that belongs to a value: its owner, its parent and its children end at the same time (P1, P4, P6).

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sc_tokio::{Cancelled, OutcomeKind, OwnedScope, Reason, Scope, scope};
use shuttle_tokio::sync::oneshot;

use crate::support::{Flag, Live, Seen, block_on, cancel_some_time, explore, linger, outside, pause};

/// Longer than any clock here goes.
const GRACE: Duration = Duration::from_secs(3600);

/// A scope with a child that ends by itself, one that does not, and a finalizer.
fn open(parent: &Scope<Cancelled>, live: &Live, finalized: &Flag) -> OwnedScope<Cancelled> {
    let owned = OwnedScope::under(parent);
    let (alive, flag) = (live.value(), finalized.clone());
    owned.defer(async move |_| {
        pause().await;
        drop(alive);
        flag.raise();
    });
    let alive = live.value();
    drop(owned.spawn(async move {
        pause().await;
        drop(alive);
    }));
    let alive = live.value();
    drop(owned.spawn(async move {
        pending::<()>().await;
        drop(alive);
    }));
    owned
}

#[test]
fn an_owner_that_lets_go_while_the_parent_is_cancelled() {
    explore(&["the owner let go", "the parent was cancelled"], |seen: &Seen| {
        let (live, finalized) = (Live::default(), Flag::default());
        let was_cancelled = block_on(async {
            let (mut cancelling, mut dropping) = (None, None);
            let _: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                let owned = open(s, &live, &finalized);
                let canceller = s.canceller();
                cancelling = Some(outside(async move {
                    linger().await;
                    canceller.cancel("the parent");
                }));
                dropping = Some(outside(async move {
                    linger().await;
                    let before = owned.is_cancelled();
                    drop(owned);
                    before
                }));
                Ok(())
            })
            .await;
            assert_eq!(live.count(), 0, "P1: children and finalizers have ended before the parent resolved");
            assert!(finalized.is_up(), "P10");
            // So that the schedule does not end in the middle of either.
            cancelling.expect("the body ran").await.expect("the canceller's task");
            dropping.expect("the body ran").await.expect("the owner's task")
        });
        seen.saw(if was_cancelled { "the parent was cancelled" } else { "the owner let go" });
    });
}

#[test]
fn a_shutdown_while_a_child_fails_gives_the_failure_and_resolves() {
    explore(&["the failure came first", "the shutdown came first"], |seen: &Seen| {
        let outcome = block_on(async {
            let owned = OwnedScope::<&'static str>::new();
            drop(owned.spawn(async {
                linger().await;
                Err::<(), _>("broken")
            }));
            linger().await;
            owned.shutdown(GRACE).await
        });
        assert_eq!(outcome.failures().len(), 1, "P4: {outcome:?}");
        match (outcome.kind(), outcome.cancelled().map(Cancelled::reason)) {
            (OutcomeKind::Failed, Some(Reason::ChildFailed)) => seen.saw("the failure came first"),
            (OutcomeKind::Cancelled, Some(Reason::Requested)) => seen.saw("the shutdown came first"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn whoever_waits_for_the_end_of_an_owned_scope_is_woken() {
    explore(&["told while waiting", "told at once"], |seen: &Seen| {
        let waited = block_on(async {
            let owned = OwnedScope::<&'static str>::new();
            drop(owned.spawn(async {
                linger().await;
                Err::<(), _>("broken")
            }));
            let waiter = outside(async move {
                let before = owned.is_cancelled();
                assert_eq!(owned.failed().await.reason(), Reason::ChildFailed);
                (before, owned)
            });
            let (before, owned) = waiter.await.expect("the waiter's task");
            // So that the schedule does not end in the middle of the scope's end.
            assert_eq!(owned.shutdown(GRACE).await.failures().len(), 1);
            before
        });
        seen.saw(if waited { "told at once" } else { "told while waiting" });
    });
}

#[test]
fn the_last_owner_may_be_a_child_or_somebody_outside() {
    explore(&["the child was last", "the outside was last"], |seen: &Seen| {
        let live = Live::default();
        let by_child = block_on(async {
            let (sender, last) = oneshot::channel();
            let _: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                let owned = Arc::new(OwnedScope::<Cancelled>::under(s));
                let (mine, alive) = (Arc::clone(&owned), live.value());
                drop(owned.spawn(async move {
                    linger().await;
                    let was_last = Arc::into_inner(mine).map(drop).is_some();
                    let _ = sender.send(was_last);
                    drop(alive);
                }));
                linger().await;
                drop(owned);
                Ok(())
            })
            .await;
            assert_eq!(live.count(), 0, "P1");
            last.await
        });
        seen.saw(if by_child == Ok(true) { "the child was last" } else { "the outside was last" });
    });
}

/// An owned scope below another one: its owner lets go while the one above is shut down.
#[test]
fn an_owner_that_lets_go_while_the_scope_above_is_shut_down() {
    explore(&["the owner let go", "it was shut down from above"], |seen: &Seen| {
        let (live, finalized) = (Live::default(), Flag::default());
        let from_above = block_on(async {
            let above = OwnedScope::<Cancelled>::new();
            let below = open(&above, &live, &finalized);
            let owner = outside(async move {
                linger().await;
                let was_cancelled = below.is_cancelled();
                drop(below);
                was_cancelled
            });
            linger().await;
            let outcome = above.shutdown(Duration::ZERO).await;
            assert!(outcome.failures().is_empty());
            let from_above = owner.await.expect("the owner's task");
            assert_eq!(live.count(), 0, "P1: what is above has waited for what is below");
            assert!(finalized.is_up(), "P10");
            from_above
        });
        seen.saw(if from_above { "it was shut down from above" } else { "the owner let go" });
    });
}

#[test]
fn a_scope_opened_below_one_that_is_being_cancelled_is_told() {
    explore(&["opened before", "opened after"], |seen: &Seen| {
        let live = Live::default();
        let after = block_on(async {
            let above = OwnedScope::<Cancelled>::new();
            let canceller = cancel_some_time(above.canceller());
            linger().await;
            let after = above.is_cancelled();
            let below = OwnedScope::<Cancelled>::under(&above);
            let alive = live.value();
            drop(below.spawn(async move {
                let _alive = alive;
                pending::<()>().await;
            }));
            // Not told, it would wait for ever.
            assert_eq!(below.cancelled().await.reason(), Reason::Requested);
            drop(below);
            canceller.await.unwrap();
            let _ = above.shutdown(GRACE).await;
            assert_eq!(live.count(), 0, "P1");
            after
        });
        seen.saw(if after { "opened after" } else { "opened before" });
    });
}

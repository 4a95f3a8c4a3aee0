//! Futures that are forgotten, or carried out of the frame that opened them (P3).

use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, Outcome, Reason, nursery};

use crate::support::{Live, OnDrop, listen, paused, poll_once, settle, told, unique, until};

type Carried<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where a future is left that leaves its frame.
type Shelf<T> = Arc<Mutex<Option<Carried<T>>>>;

fn shelf<T>() -> Shelf<T> {
    Shelf::default()
}

/// Opens a scope in a child frame, polls it, and leaves it on the shelf.
async fn leave_on<T: 'static>(shelf: Shelf<T>, mut future: Carried<T>, polls: usize) {
    for _ in 0..polls {
        assert!(poll_once(future.as_mut()).is_pending());
        settle().await;
    }
    *shelf.lock().unwrap() = Some(future);
}

/// P3, P5: what a carried-out scope had failed with goes to the hook; whoever polls it then gets
/// an answer.
#[test]
fn a_scope_that_failed_and_was_carried_out_while_finalizing_still_answers() {
    listen();
    paused(|| async {
        let shelf = shelf::<Result<(), anyhow::Error>>();
        let text = unique("body");
        let (left, error) = (Arc::clone(&shelf), text.clone());
        let outer: Result<(), Cancelled> = nursery!(async move |n| {
            let inner = nursery!(async move |n| -> anyhow::Result<()> {
                n.defer(async |_| tokio::time::sleep(Duration::from_secs(1)).await);
                Err(anyhow::anyhow!(error))
            });
            let _ = n.spawn(leave_on(left, Box::pin(inner.into_future()), 1));
            Ok(())
        })
        .await;
        assert!(outer.is_ok());
        let future = shelf.lock().unwrap().take().expect("the future was left");
        let error = future.await.unwrap_err();
        assert!(told(&text) == 1 || error.to_string().contains(&text), "the failure is lost: {error}");
    });
}

/// P4: a carried-out body fails after its scope was adopted.
#[test]
fn a_panic_of_a_carried_out_bodys_destructor_is_delivered() {
    listen();
    paused(|| async {
        let shelf = shelf::<Outcome<(), Cancelled>>();
        let text = unique("carried body");
        let (left, message) = (Arc::clone(&shelf), text.clone());
        let outer: Result<(), Cancelled> = nursery!(async move |n| {
            let inner = nursery!(async move |_n| -> Result<(), Cancelled> {
                let _bomb = OnDrop::new(|| panic!("{message}"));
                pending().await
            });
            let _ = n.spawn(leave_on(left, Box::pin(inner.outcome()), 1));
            Ok(())
        })
        .await;
        assert!(outer.is_ok());
        let future = shelf.lock().unwrap().take().expect("the future was left");
        let outcome = future.await;
        assert_eq!(outcome.cancelled().map(Cancelled::reason), Some(Reason::OpenerEnded));
        let kept = outcome.failures().iter().filter_map(Failure::as_panic).count();
        assert_eq!(kept + told(&text), 1);
    });
}

/// P3: whoever polls a carried-out future does not take the place of the task that carries its
/// scope to the end.
#[test]
fn polling_a_carried_out_future_does_not_keep_its_scope_from_closing() {
    paused(|| async {
        let shelf = shelf::<Outcome<(), Cancelled>>();
        let live = Live::default();
        let (left, guard) = (Arc::clone(&shelf), live.guard());
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let outer = tokio::spawn(
            nursery!(async move |n| -> Result<(), Cancelled> {
                let inner = nursery!(async move |n| -> Result<(), Cancelled> {
                    let _ = n.spawn(async move {
                        let _guard = guard;
                        let _ = released.await;
                    });
                    pending().await
                })
                .grace(Duration::MAX);
                let _ = n.spawn(leave_on(left, Box::pin(inner.outcome()), 1));
                Ok(())
            })
            .into_future(),
        );
        until(|| shelf.lock().unwrap().is_some()).await;
        settle().await;
        let mut future = shelf.lock().unwrap().take().expect("the future was left");
        assert!(poll_once(future.as_mut()).is_pending());
        settle().await;
        assert!(!outer.is_finished());
        release.send(()).expect("the child waits");
        assert!(outer.await.expect("no panic").is_ok());
        assert_eq!(live.count(), 0);
        drop(future);
    });
}

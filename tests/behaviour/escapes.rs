//! Ways out of a scope that only the runtime can stop; `docs/DESIGN.md` lists all of them.

use std::future::{Future, IntoFuture, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use sc_tokio::{Cancelled, Reason, nursery};
use tokio::task::yield_now;

use crate::support::{Alive, Live, both_flavours};

type ScopeFuture = Pin<Box<dyn Future<Output = Result<(), Cancelled>> + Send>>;

/// A scope that borrows nothing, so that its future may go anywhere.
fn scope_with_a_child(guard: Alive) -> ScopeFuture {
    Box::pin(
        nursery!(async move |n| -> Result<(), Cancelled> {
            n.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            pending().await
        })
        .into_future(),
    )
}

/// Runs `escape` on an open scope inside another one; its child has to end with that one.
async fn ends_with_its_opener(escape: impl FnOnce(ScopeFuture)) {
    let live = Live::new();
    nursery!(async |_n| -> Result<(), Cancelled> {
        let mut scope = scope_with_a_child(live.one());
        assert!(futures::poll!(scope.as_mut()).is_pending());
        assert_eq!(live.count(), 1);
        escape(scope);
        for _ in 0..10 {
            yield_now().await;
        }
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(live.count(), 0, "P3: the enclosing scope has waited for the child");
}

#[test]
fn a_leaked_scope_is_cancelled_with_the_frame_that_opened_it() {
    both_flavours(|| {
        ends_with_its_opener(|scope| {
            Box::leak(Box::new(scope));
        })
    });
}

#[test]
fn a_scope_hidden_in_a_static_is_cancelled_with_the_frame_that_opened_it() {
    static HIDDEN: Mutex<Option<ScopeFuture>> = Mutex::new(None);
    both_flavours(|| async {
        ends_with_its_opener(|scope| {
            HIDDEN.lock().unwrap().replace(scope);
        })
        .await;
        let found = HIDDEN.lock().unwrap().take().unwrap();
        assert_eq!(found.await.unwrap_err().reason(), Reason::OpenerEnded);
    });
}

#[test]
fn a_scope_handed_to_a_detached_task_is_cancelled_with_the_frame_that_opened_it() {
    both_flavours(|| async {
        let (sender, receiver) = tokio::sync::oneshot::channel::<ScopeFuture>();
        let detached = tokio::spawn(async { receiver.await.unwrap().await });
        ends_with_its_opener(|scope| {
            assert!(sender.send(scope).is_ok(), "the task waits for it");
        })
        .await;
        assert_eq!(detached.await.unwrap().unwrap_err().reason(), Reason::OpenerEnded);
    });
}

#[test]
fn a_child_that_returns_an_open_scope_leaves_none_of_its_tasks() {
    both_flavours(|| async {
        let live = Live::new();
        let guard = live.one();
        let mut carried = None;
        nursery!(async |n| -> Result<(), Cancelled> {
            let child = n.spawn(async move {
                let mut scope = scope_with_a_child(guard);
                assert!(futures::poll!(scope.as_mut()).is_pending());
                Ok(scope)
            });
            carried = Some(child.await);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
        assert_eq!(carried.unwrap().await.unwrap_err().reason(), Reason::OpenerEnded);
    });
}

#[test]
fn a_scope_owned_by_its_own_child_does_not_keep_itself_alive() {
    both_flavours(|| async {
        let live = Live::new();
        nursery!(async |_n| -> Result<(), Cancelled> {
            let cycle = Arc::new(Mutex::new(None::<ScopeFuture>));
            let (inside, guard) = (Arc::clone(&cycle), live.one());
            let mut scope: ScopeFuture = Box::pin(
                nursery!(async move |n| -> Result<(), Cancelled> {
                    n.spawn(async move {
                        let _kept = (inside, guard);
                        pending::<()>().await;
                    });
                    pending().await
                })
                .into_future(),
            );
            assert!(futures::poll!(scope.as_mut()).is_pending());
            cycle.lock().unwrap().replace(scope);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[test]
#[should_panic(expected = "opens its scope when its future is first polled")]
fn the_door_of_the_macros_is_shut_to_everybody_else() {
    drop(sc_tokio::__private::open::<Cancelled>());
}

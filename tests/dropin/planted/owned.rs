//! What the conversion brings without another change: the tasks of the program have an owner. Planted by `.ci/dropin.sh` in the
//! converted copy, for it says `sc_tokio`.

use std::future::pending;
use std::sync::Arc;

use sc_dropin::handles::{Jobs, begun};
use sc_dropin::server::Server;
use sc_tokio::{Cancelled, nursery};

#[tokio::test]
async fn a_server_ends_with_the_scope_it_was_started_in() {
    let mut started = None;
    let cancelled = nursery!(async |n| {
        started = Some(Server::start().await.unwrap());
        n.cancel("enough");
        Ok::<_, Cancelled>(())
    })
    .await;
    assert!(cancelled.is_err());
    assert!(!started.unwrap().is_accepting());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_waits_for_the_tasks_of_the_program() {
    let kept = Arc::new(());
    let inside = Arc::clone(&kept);
    nursery!(async |_n| {
        tokio::task::yield_now().await;
        drop(
            begun(async move {
                tokio::task::yield_now().await;
                drop(inside);
            })
            .await,
        );
        Ok::<_, Cancelled>(())
    })
    .await
    .unwrap();
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[tokio::test]
async fn a_block_that_is_dropped_takes_the_tasks_of_the_program_along() {
    let kept = Arc::new(());
    let inside = Arc::clone(&kept);
    nursery!(async |_n| {
        // A client that leaves: the future of its request is dropped.
        let request = nursery!(async |_n| {
            let mut jobs = Jobs::default();
            jobs.start(1, inside);
            pending::<Result<(), Cancelled>>().await
        });
        let mut request = Box::pin(request.into_future());
        tokio::select! {
            _ = &mut request => unreachable!("it waits for ever"),
            () = tokio::task::yield_now() => {}
        }
        drop(request);
        Ok::<_, Cancelled>(())
    })
    .await
    .unwrap();
    assert_eq!(Arc::strong_count(&kept), 1);
}

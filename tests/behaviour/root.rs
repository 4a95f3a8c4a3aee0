//! The scope at the top, implicit or opened by the program: what belongs to it.

use std::future::pending;

use std::time::Duration;

use sc_tokio::{Cancelled, Reason, Root, nursery};
use tokio::task::yield_now;

use crate::support::{Live, both_flavours};

#[test]
fn a_root_handle_survives_its_threads_work_for_another_runtime() {
    let build = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (a, b) = (build(), build());
    let handle = a.block_on(async { sc_tokio::root() });
    b.block_on(async { sc_tokio::spawn(async {}).await.unwrap() });
    assert_eq!(a.block_on(async { handle.spawn(async { 5 }).await }).unwrap(), 5);
}

#[test]
fn a_root_owns_what_is_spawned_on_a_worker_that_knew_the_implicit_root() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let before = tokio::spawn(async { sc_tokio::spawn(async {}).await.unwrap() });
        before.await.unwrap();
    });
    let live = Live::new();
    let guard = live.one();
    let ended = runtime.block_on(Root::new().run(async move {
        let spawner = tokio::spawn(async move {
            sc_tokio::spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        });
        spawner.await.unwrap();
    }));
    assert_eq!((ended.left_behind().len(), live.count()), (1, 0));
}

/// Threads keep an implicit root open between tasks, and are not its children.
#[test]
fn an_implicit_root_counts_what_belongs_to_it_and_nothing_else() {
    both_flavours(|| async {
        let root = sc_tokio::root();
        assert!(root.is_empty(), "{root:?}");
        let task = sc_tokio::spawn(pending::<()>());
        // Another thread, perhaps, which gets to know the root as well.
        let seen = tokio::spawn(async {
            (sc_tokio::root().len(), sc_tokio::spawn(async { sc_tokio::current().unwrap().len() }).await.unwrap())
        });
        assert_eq!(seen.await.unwrap(), (1, 2));
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        while !root.is_empty() {
            yield_now().await; // a hold may be let go a moment after the handle has its result
        }
        assert!(!sc_tokio::tree().to_string().contains("1 children"), "{}", sc_tokio::tree());
    });
}

#[test]
fn a_roots_report_counts_what_it_cancelled() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ended = runtime.block_on(Root::new().run(async {
        sc_tokio::spawn(pending::<()>());
        yield_now().await;
    }));
    assert_eq!((ended.report().succeeded, ended.report().cancelled), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_root_inside_a_cancelled_scope_ends_with_it_and_panics_at_nobody() {
    let live = Live::new();
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let guard = live.one();
        let stop = n.canceller();
        let _never = Root::new()
            .run(async move {
                sc_tokio::spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                stop.cancel("from around the root");
                pending::<()>().await;
            })
            .await;
        Ok(())
    })
    .grace(Duration::from_secs(1))
    .outcome()
    .await;
    assert!(outcome.failures().is_empty(), "{outcome:?}");
    assert_eq!(outcome.cancelled().unwrap().reason(), Reason::Requested);
    assert_eq!(live.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_root_in_a_child_that_is_stopped_alone_ends_with_it_and_panics_at_nobody() {
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.spawn(async {
            let _never = Root::new().run(pending::<()>()).await;
        });
        yield_now().await;
        child.cancel().await;
        Ok(())
    })
    .grace(Duration::from_secs(1))
    .outcome()
    .await;
    assert!(outcome.is_ok() && outcome.failures().is_empty(), "{outcome:?}");
}

#[tokio::test]
#[should_panic(expected = "carried out of the frame that opened it")]
async fn a_root_carried_out_of_its_frame_says_so() {
    let carried = nursery!(async |_n| -> Result<_, Cancelled> {
        let mut root = Box::pin(Root::new().run(pending::<()>()));
        assert!(futures::poll!(root.as_mut()).is_pending());
        Ok(root)
    })
    .await;
    let _never = carried.unwrap().await;
}

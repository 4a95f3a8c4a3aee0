//! The scope at the top, implicit or opened by the program: what belongs to it.

use std::future::pending;

use sc_tokio::Root;
use tokio::task::yield_now;

use crate::support::Live;

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

#[test]
fn a_roots_report_counts_what_it_cancelled() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ended = runtime.block_on(Root::new().run(async {
        sc_tokio::spawn(pending::<()>());
        yield_now().await;
    }));
    assert_eq!((ended.report().succeeded, ended.report().cancelled), (0, 1));
}

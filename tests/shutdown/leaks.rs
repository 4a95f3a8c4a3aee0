//! `assert_no_leaks`, in tests that run with another attribute than ours.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, OwnedScope, Root, assert_no_leaks, nursery};
use tokio::sync::oneshot;

#[tokio::test]
async fn a_test_that_has_joined_everything_passes() {
    sc_tokio::spawn(async {}).await.unwrap();
    nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(async {});
        Ok(())
    })
    .await
    .unwrap();
    assert_no_leaks().await;
}

#[tokio::test]
#[should_panic(expected = "shutdown/leaks.rs:")]
async fn it_names_what_was_spawned_with_this_crate() {
    sc_tokio::spawn(pending::<()>());
    assert_no_leaks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "there are left: 2 tasks, spawned at:\n  ")]
async fn on_other_threads_too() {
    sc_tokio::spawn(pending::<()>());
    sc_tokio::spawn_shielded(Duration::from_secs(1), pending::<()>());
    assert_no_leaks().await;
}

#[tokio::test]
#[should_panic(expected = "there are left: 1 task that sc_tokio does not know")]
async fn it_counts_what_was_not() {
    tokio::task::spawn(pending::<()>());
    assert_no_leaks().await;
}

/// Virtual time does not run away from a test that looks for what is left of it.
#[tokio::test(start_paused = true)]
async fn an_aborted_task_is_none() {
    sc_tokio::spawn(pending::<()>()).abort();
    tokio::task::spawn(pending::<()>()).abort();
    let start = tokio::time::Instant::now();
    assert_no_leaks().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_is_one_that_is_about_to_end() {
    let (sender, receiver) = oneshot::channel();
    sc_tokio::spawn(async move { sender.send(vec![0_u8; 1 << 22]) });
    receiver.await.unwrap();
    assert_no_leaks().await;
}

#[tokio::test]
async fn nor_is_what_carries_a_scope_that_a_value_holds() {
    let pool = OwnedScope::<Cancelled>::new();
    pool.spawn(async {});
    let inner = OwnedScope::<Cancelled>::new();
    assert_no_leaks().await;
    drop((pool, inner));
    assert_no_leaks().await;
}

#[tokio::test]
#[should_panic(expected = "shutdown/leaks.rs:")]
async fn but_what_lives_in_it_is() {
    let pool = OwnedScope::<Cancelled>::new();
    pool.spawn(async { pending::<()>().await });
    assert_no_leaks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_task_that_looks_is_none() {
    tokio::task::spawn(assert_no_leaks()).await.unwrap();
}

#[tokio::test]
async fn inside_a_scope_it_is_about_that_scope() {
    let (go, gate) = oneshot::channel::<()>();
    let other = sc_tokio::spawn(gate);
    nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(async {}).await;
        assert_no_leaks().await;
        Ok(())
    })
    .await
    .unwrap();
    go.send(()).unwrap();
    other.await.unwrap().unwrap();
    let ended = Root::new().run(assert_no_leaks()).await;
    assert!(ended.is_clean());
}

#[tokio::test]
#[should_panic(expected = "1 task, spawned at:")]
async fn inside_a_root_it_is_about_the_program() {
    let _never = Root::new()
        .run(async {
            sc_tokio::spawn(pending::<()>());
            assert_no_leaks().await;
        })
        .await;
}

//! `#[sc_tokio::main]` and `#[sc_tokio::test]`.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, nursery};

use crate::support::Live;

#[sc_tokio::test]
async fn a_test_that_joins_what_it_starts_passes() {
    let task = sc_tokio::spawn(async { 1 });
    assert_eq!(task.await.unwrap(), 1);
}

#[sc_tokio::test]
#[should_panic(expected = "behaviour/entry.rs:")]
async fn a_test_that_leaves_a_task_behind_fails_and_says_where_it_was_spawned() {
    sc_tokio::spawn(pending::<()>());
}

#[sc_tokio::test]
#[should_panic(expected = "behaviour/entry.rs:")]
async fn a_shielded_task_left_behind_is_one_too() {
    sc_tokio::spawn_shielded(Duration::from_millis(1), pending::<()>());
}

#[sc_tokio::test]
#[should_panic(expected = "behaviour/entry.rs:")]
async fn so_is_a_scope_on_a_task_of_tokios_own() {
    tokio::task::spawn(async { nursery!(async |_n| -> Result<(), Cancelled> { pending().await }).await });
    tokio::task::yield_now().await;
}

#[sc_tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_about_to_end_on_another_thread_is_not_left_behind() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    sc_tokio::spawn(async move { sender.send(vec![0_u8; 1 << 22]) });
    receiver.await.unwrap();
}

#[sc_tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_takes_tokios_arguments() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn(async {});
        Ok(())
    })
    .await
}

#[sc_tokio::test(start_paused = true)]
async fn also_virtual_time() {
    tokio::time::sleep(Duration::from_secs(3600)).await;
}

#[sc_tokio::test]
#[should_panic(expected = "the test itself")]
async fn a_panic_of_the_test_goes_on() {
    panic!("the test itself");
}

#[test]
fn main_cancels_and_joins_what_is_left() {
    static LIVE: std::sync::LazyLock<Live> = std::sync::LazyLock::new(Live::new);

    #[sc_tokio::main(flavor = "current_thread")]
    async fn program() -> Result<u8, Cancelled> {
        let guard = LIVE.one();
        sc_tokio::spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        nursery!(async |_n| -> Result<(), Cancelled> { Ok(()) }).await?;
        Ok(5)
    }

    assert_eq!(program().unwrap(), 5);
    assert_eq!(LIVE.count(), 0);
}

#[test]
fn a_scope_on_a_task_of_tokios_own_is_below_the_programs_root() {
    crate::support::both_flavours(|| async {
        let live = Live::new();
        let guards = live.clone();
        let ended = sc_tokio::Root::new()
            .run(async move {
                let (opened, open) = tokio::sync::oneshot::channel();
                tokio::task::spawn(async move {
                    nursery!(async |n| -> Result<(), Cancelled> {
                        let guard = guards.one();
                        n.spawn(async move {
                            let _guard = guard;
                            pending::<()>().await;
                        });
                        opened.send(()).unwrap();
                        pending().await
                    })
                    .named("connection")
                    .await
                });
                open.await.unwrap();
                sc_tokio::tree().to_string()
            })
            .await;
        let tree = ended.into_value().expect("the main future returned");
        assert!(tree.contains("connection"), "{tree}");
        assert_eq!(live.count(), 0, "cancelled and joined with the root");
    });
}

//! `#[sc_tokio::test]`: what a test leaves behind, and what it may.

use std::future::pending;

#[sc_tokio::test]
#[should_panic(expected = "1 task that sc_tokio does not know")]
async fn a_task_of_tokios_own_that_a_test_leaves_behind_is_counted() {
    tokio::task::spawn(pending::<()>());
}

#[sc_tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "2 tasks that sc_tokio does not know")]
async fn so_are_several_on_other_threads() {
    tokio::task::spawn(pending::<()>());
    tokio::task::spawn(pending::<()>());
}

#[sc_tokio::test]
#[should_panic(expected = "2 tasks, spawned at:\n  ")]
async fn each_task_is_named() {
    sc_tokio::spawn(pending::<()>());
    sc_tokio::spawn(pending::<()>());
}

#[sc_tokio::test(leaks = "allow")]
async fn leaks_may_be_allowed() {
    sc_tokio::spawn(pending::<()>());
    tokio::task::spawn(pending::<()>());
}

#[sc_tokio::test(leaks = "allow")]
#[should_panic(expected = "shutdown/attribute.rs:")]
async fn but_not_a_panic_of_what_was_left() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    sc_tokio::spawn(async {
        let _bomb = Bomb;
        pending::<()>().await;
    });
    tokio::task::yield_now().await;
}

#[sc_tokio::test]
async fn a_task_of_tokios_own_that_was_aborted_is_none() {
    tokio::task::spawn(pending::<()>()).abort();
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    tokio::task::spawn(receiver); // it ends when the body of the test does
    let _sender = sender;
}

/// Without a bound the test would hang, and say nothing.
#[sc_tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[should_panic(expected = "shutdown/attribute.rs:")]
async fn blocking_code_that_does_not_end_is_named() {
    let (started, start) = tokio::sync::oneshot::channel();
    sc_tokio::spawn_blocking(|| {
        started.send(()).unwrap();
        loop {
            std::thread::park();
        }
    });
    start.await.unwrap();
}

#[sc_tokio::test]
#[should_panic(expected = "cut it short")]
async fn a_test_that_ends_its_own_root_fails() {
    sc_tokio::root().hurry_shutdown();
    pending::<()>().await;
}

#[sc_tokio::test(flavor = "local")]
async fn a_local_runtime_runs_what_is_not_send() {
    let here = std::rc::Rc::new(5);
    let same = std::rc::Rc::clone(&here);
    assert_eq!(sc_tokio::spawn_local(async move { *same }).await.unwrap(), *here);
}

#[sc_tokio::test]
#[ignore = "run by the one below, as a process: what is checked is its output"]
async fn returns_an_error_and_leaks() -> Result<(), String> {
    sc_tokio::spawn(pending::<()>());
    Err("the test's own error".into())
}

#[test]
fn an_error_that_the_test_returned_is_told_beside_what_it_left() {
    let itself = std::env::current_exe().unwrap();
    let name = "attribute::returns_an_error_and_leaks";
    let output =
        std::process::Command::new(itself).args(["--ignored", "--nocapture", "--exact", name]).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(text.contains("Error: \"the test's own error\""), "{text}");
    assert!(text.contains("left behind 1 task, spawned at:") && text.contains("attribute.rs:"), "{text}");
    assert!(!output.status.success());
}

//! On runtimes of one's own, from threads that are not theirs, and while they end.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sc_dropin::drops::Session;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;

fn each_flavour(test: impl Fn(Runtime)) {
    test(Builder::new_current_thread().enable_all().build().unwrap());
    test(Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
}

#[test]
fn a_runtime_that_was_entered_is_enough() {
    each_flavour(|runtime| {
        let entered = runtime.enter();
        let task = tokio::spawn(async { 1 });
        drop(entered);
        assert_eq!(runtime.block_on(task).unwrap(), 1);
    });
}

#[test]
fn a_thread_that_entered_the_runtime_is_enough() {
    each_flavour(|runtime| {
        let handle = runtime.handle().clone();
        let started = std::thread::scope(|s| {
            s.spawn(|| {
                let _entered = handle.enter();
                tokio::spawn(async { 2 })
            })
            .join()
            .unwrap()
        });
        assert_eq!(runtime.block_on(started).unwrap(), 2);
    });
}

#[test]
fn two_runtimes_do_not_mix() {
    let (one, two) = (Runtime::new().unwrap(), Builder::new_current_thread().build().unwrap());
    let on_one = one.block_on(async { tokio::spawn(async { Handle::current().id() }).await.unwrap() });
    let on_two = two.block_on(async { tokio::spawn(async { Handle::current().id() }).await.unwrap() });
    let entered_two = {
        let _one = one.enter();
        let _two = two.enter();
        tokio::spawn(async { Handle::current().id() })
    };
    assert_eq!(on_one, one.handle().id());
    assert_eq!(on_two, two.handle().id());
    assert_eq!(two.block_on(entered_two).unwrap(), two.handle().id());
}

#[test]
fn a_runtime_that_ends_drops_what_its_tasks_kept() {
    each_flavour(|runtime| {
        let kept = Arc::new(());
        let inside = Arc::clone(&kept);
        runtime.block_on(async {
            let (begun, has_begun) = tokio::sync::oneshot::channel();
            tokio::spawn(async move {
                begun.send(()).unwrap();
                pending::<()>().await;
                drop(inside);
            });
            has_begun.await.unwrap();
        });
        runtime.shutdown_timeout(Duration::from_secs(30));
        assert_eq!(Arc::strong_count(&kept), 1);
    });
}

#[test]
fn a_handle_outlives_its_runtime() {
    each_flavour(|runtime| {
        let entered = runtime.enter();
        let never = tokio::spawn(pending::<()>());
        drop(entered);
        drop(runtime);
        let other = Builder::new_current_thread().build().unwrap();
        assert!(other.block_on(never).unwrap_err().is_cancelled());
    });
}

#[test]
fn one_runtime_after_the_other() {
    for round in 0..3 {
        each_flavour(|runtime| {
            let value = runtime.block_on(async { tokio::spawn(async move { round }).await.unwrap() });
            assert_eq!(value, round);
        });
    }
}

#[tokio::test]
async fn a_destructor_starts_a_task() {
    let (goodbyes, mut heard) = mpsc::unbounded_channel();
    drop(Session::new(1, goodbyes.clone()));
    let holder = tokio::spawn({
        let session = Session::new(2, goodbyes);
        async move {
            pending::<()>().await;
            drop(session);
        }
    });
    assert_eq!(heard.recv().await, Some(1));
    holder.abort();
    assert_eq!(heard.recv().await, Some(2)); // from the destructor of an aborted task
}

#[test]
fn a_destructor_outside_a_runtime_starts_none() {
    let (goodbyes, mut heard) = mpsc::unbounded_channel();
    drop(Session::new(1, goodbyes));
    assert_eq!(heard.blocking_recv(), None);
}

#[test]
fn a_destructor_at_the_end_of_the_runtime_starts_none() {
    each_flavour(|runtime| {
        let (goodbyes, mut heard) = mpsc::unbounded_channel();
        runtime.block_on(async {
            let session = Session::new(1, goodbyes);
            let (begun, has_begun) = tokio::sync::oneshot::channel();
            tokio::spawn(async move {
                begun.send(()).unwrap();
                pending::<()>().await;
                drop(session);
            });
            has_begun.await.unwrap();
        });
        drop(runtime);
        assert_eq!(heard.blocking_recv(), None); // its task was refused, and what it kept dropped
    });
}

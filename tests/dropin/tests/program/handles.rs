//! `abort`, `is_finished`, `AbortHandle`, handles in structs and in `select!`.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use sc_dropin::handles::{AbortOnDrop, Adder, Jobs, begun, first_of};
use tokio::task;

#[tokio::test]
async fn an_actor_gives_its_sum() {
    let adder = Adder::start();
    adder.add(1).await;
    adder.add(2).await;
    assert_eq!(adder.finish().await, Some(3));
}

#[tokio::test]
async fn an_actor_is_aborted_from_elsewhere() {
    let adder = Adder::start();
    let stop = adder.abort_handle();
    assert!(!stop.is_finished());
    stop.abort();
    assert_eq!(adder.finish().await, None);
    assert!(stop.is_finished());
}

#[tokio::test]
async fn what_an_aborted_task_kept_is_dropped() {
    let kept = Arc::new(());
    let mut jobs = Jobs::default();
    let (one, two) = (jobs.start(1, Arc::clone(&kept)), jobs.start(2, Arc::clone(&kept)));
    task::yield_now().await;
    assert_eq!((jobs.alive(), Arc::strong_count(&kept)), (2, 3));
    assert!(jobs.stop(1) && !jobs.stop(3));
    assert!(one.await.unwrap_err().is_cancelled());
    assert_eq!((jobs.alive(), Arc::strong_count(&kept)), (1, 2));
    two.abort();
    assert!(two.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_task_ends_with_the_handle_that_aborts_it() {
    let kept = Arc::new(());
    let inside = Arc::clone(&kept);
    let running = AbortOnDrop::new(tokio::spawn(async move {
        pending::<()>().await;
        drop(inside);
    }));
    task::yield_now().await;
    drop(running);
    while Arc::strong_count(&kept) > 1 {
        task::yield_now().await;
    }
}

#[tokio::test]
async fn the_first_of_two_wins() {
    assert_eq!(first_of(ready(1), pending()).await, Some(1));
    assert_eq!(first_of(pending(), ready(2)).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_handle_can_be_given_a_time_out() {
    let mut running = begun(tokio::time::sleep(Duration::from_secs(10))).await;
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut running).await.is_err());
    assert!(!running.is_finished());
    running.await.unwrap();
}

#[tokio::test]
async fn a_task_that_has_ended_is_finished() {
    let ended = begun(ready("value")).await;
    while !ended.is_finished() {
        task::yield_now().await;
    }
    assert_eq!(ended.await.unwrap(), "value");
}

#[tokio::test]
async fn inside_and_outside_agree_on_the_id() {
    let running = tokio::spawn(async { task::id() });
    let outside = running.id();
    assert_eq!(running.await.unwrap(), outside);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_handle_lets_the_task_go_on() {
    let (done, is_done) = tokio::sync::oneshot::channel();
    drop(tokio::spawn(async move {
        task::yield_now().await;
        done.send("done").unwrap();
    }));
    assert_eq!(is_done.await.unwrap(), "done");
}

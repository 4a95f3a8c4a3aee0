//! What a program can see of its tasks otherwise: counts, order, time, task-locals, the pool of threads.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task;
use tokio::time::{Instant, sleep};

tokio::task_local! {
    static REQUEST: u32;
}

#[tokio::test]
async fn one_spawn_is_one_task() {
    let metrics = Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let tasks: Vec<_> = (0..10).map(|_| tokio::spawn(pending::<()>())).collect();
    task::yield_now().await;
    assert_eq!(metrics.num_alive_tasks(), before + 10);
    for task in &tasks {
        task.abort();
    }
    for task in tasks {
        let _ = task.await;
    }
    assert_eq!(metrics.num_alive_tasks(), before);
}

#[tokio::test]
async fn tasks_begin_in_the_order_in_which_they_were_spawned() {
    let order = Arc::new(Mutex::new(Vec::new()));
    for i in 0..5 {
        let order = Arc::clone(&order);
        tokio::spawn(async move { order.lock().unwrap().push(i) });
    }
    task::yield_now().await;
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn virtual_time_moves_on_its_own() {
    let began = Instant::now();
    let sleeper = tokio::spawn(async { sleep(Duration::from_secs(3600)).await });
    sleeper.await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(3600));
}

#[tokio::test]
async fn task_locals_stay_behind() {
    let seen = REQUEST.scope(7, async { tokio::spawn(async { REQUEST.try_get().ok() }).await.unwrap() }).await;
    assert_eq!(seen, None);
    let bound = tokio::spawn(REQUEST.scope(8, async { REQUEST.get() }));
    assert_eq!(bound.await.unwrap(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_may_block_in_place() {
    let outer = tokio::spawn(async {
        task::block_in_place(|| Handle::current().block_on(async { tokio::spawn(async { 9 }).await.unwrap() }))
    });
    assert_eq!(outer.await.unwrap(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_that_spawn_a_task() {
    let tasks: Vec<_> =
        (0..1_000_u32).map(|i| tokio::spawn(async move { tokio::spawn(async move { i }).await.unwrap() })).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    assert_eq!(sum, 499_500);
}

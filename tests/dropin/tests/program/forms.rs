//! Every way to write it starts a task.

use std::cell::Cell;
use std::rc::Rc;

use sc_dropin::generic::{Executor, OnTokio, Spawned, all, spawn_named};
use sc_dropin::{blocking, local, macros, names, values};
use tokio::task::LocalSet;

#[tokio::test]
async fn every_name_starts_a_task() {
    let tasks = [
        names::absolute(1),
        names::imported::start(2),
        names::renamed::start(3),
        names::module::start(4),
        names::krate::start(5),
        names::braces::start(6),
        names::braces::start_by_module(7),
        names::glob::start(8),
        names::reexported::start(9),
        names::in_function(10),
    ];
    let mut values = Vec::new();
    for task in tasks {
        values.push(task.await.unwrap());
    }
    assert_eq!(values, (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_function_value_starts_a_task() {
    let job = |value| -> values::Job { Box::pin(async move { value }) };
    let mut tasks = vec![
        values::STARTER.start(job(1)),
        values::bound(2),
        values::passed(3),
        values::chosen(false, 4),
        values::chosen(true, 5),
        values::explicit(job(6)),
    ];
    tasks.extend(values::mapped(7..=9));
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    assert_eq!(sum, 45);
}

#[tokio::test]
async fn a_wrapper_starts_a_task() {
    assert_eq!(spawn_named("one", async { 1 }).await.unwrap(), ("one", 1));
    assert_eq!(OnTokio.execute(async { 2 }).await.unwrap(), 2);
    assert_eq!(async { 3 }.spawned().await.unwrap(), 3);
    assert_eq!(all((0..4).map(|i| async move { i })).await, [Some(0), Some(1), Some(2), Some(3)]);
}

#[tokio::test]
async fn a_macro_starts_a_task() {
    let (one, two) = macros::in_definition(1);
    assert_eq!((one.await.unwrap(), two.await.unwrap()), (1, 2));
    assert_eq!(macros::in_argument(3).await.unwrap(), 3);
    assert_eq!(macros::in_arguments_of_others(1).await, 5);
}

#[tokio::test]
async fn blocking_code_runs_elsewhere() {
    assert_eq!(blocking::sum(vec![1, 2, 3]).await.unwrap(), 6);
    assert_eq!(blocking::parse("7".to_owned()).await.unwrap().unwrap(), 7);
    assert!(blocking::parse("seven".to_owned()).await.unwrap().is_err());
    let (here, there) = (std::thread::current().id(), blocking::on_thread(|| std::thread::current().id()));
    assert_ne!(there.await.unwrap(), here);
    assert_eq!(blocking::from_blocking_code(8).await, Some(8));
}

#[tokio::test]
async fn local_tasks_stay_on_their_thread() {
    assert_eq!(local::count_to(3).await, 3);
    let counter = Rc::new(Cell::new(0));
    let (set, inside) = (LocalSet::new(), Rc::clone(&counter));
    set.run_until(async move { local::count_up(inside).await.unwrap() }).await;
    assert_eq!(counter.get(), 1);
}

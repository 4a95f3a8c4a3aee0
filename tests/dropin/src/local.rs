//! Tasks that stay on their thread.

use std::cell::Cell;
use std::rc::Rc;

use tokio::task::{self, JoinHandle, LocalSet};

/// Counts up what is not `Send`.
pub fn count_up(counter: Rc<Cell<u32>>) -> JoinHandle<u32> {
    task::spawn_local(async move {
        task::yield_now().await;
        counter.set(counter.get() + 1);
        counter.get()
    })
}

/// Several of them, on a set of their own.
pub async fn count_to(number: u32) -> u32 {
    let counter = Rc::new(Cell::new(0));
    LocalSet::new()
        .run_until(async {
            let tasks: Vec<_> = (0..number).map(|_| count_up(Rc::clone(&counter))).collect();
            for task in tasks {
                let _ = task.await;
            }
        })
        .await;
    counter.get()
}

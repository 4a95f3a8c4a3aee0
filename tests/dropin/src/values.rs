//! The function as a value.

use std::pin::Pin;

use tokio::task::JoinHandle;

/// A future that no longer says its type.
pub type Job = Pin<Box<dyn Future<Output = u32> + Send>>;

/// A part of a program that is told how to start its tasks.
#[derive(Debug, Clone, Copy)]
pub struct Starter {
    start: fn(Job) -> JoinHandle<u32>,
}

/// The usual way.
pub static STARTER: Starter = Starter { start: tokio::spawn };

impl Starter {
    /// Starts a task.
    pub fn start(self, job: Job) -> JoinHandle<u32> {
        (self.start)(job)
    }
}

/// Bound to a name.
pub fn bound(value: u32) -> JoinHandle<u32> {
    let start = tokio::spawn;
    start(async move { value })
}

/// Passed to a function.
pub fn passed(value: u32) -> JoinHandle<u32> {
    apply(tokio::spawn, async move { value })
}

fn apply<F, R>(start: impl FnOnce(F) -> R, future: F) -> R {
    start(future)
}

/// Passed to an adapter.
pub fn mapped(values: impl IntoIterator<Item = u32>) -> Vec<JoinHandle<u32>> {
    values.into_iter().map(|value| async move { value }).map(tokio::task::spawn).collect()
}

/// Chosen at run time.
pub fn chosen(lazily: bool, value: u32) -> JoinHandle<u32> {
    let start: fn(Job) -> JoinHandle<u32> = if lazily { lazy } else { tokio::spawn };
    start(Box::pin(async move { value }))
}

fn lazy(job: Job) -> JoinHandle<u32> {
    tokio::spawn(async {
        tokio::task::yield_now().await;
        job.await
    })
}

/// With its type argument written out.
pub fn explicit(job: Job) -> JoinHandle<u32> {
    tokio::spawn::<Job>(job)
}

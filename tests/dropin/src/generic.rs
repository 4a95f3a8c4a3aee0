//! Wrappers: the bounds and the return type are written out, so they have to be the same.

use tokio::task::JoinHandle;

/// A program's own `spawn`.
#[track_caller]
pub fn spawn_named<F>(name: &'static str, future: F) -> JoinHandle<(&'static str, F::Output)>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(async move { (name, future.await) })
}

/// Where a library lets the program say how tasks are started.
pub trait Executor<F: Future> {
    /// Starts one.
    fn execute(&self, future: F) -> JoinHandle<F::Output>;
}

/// On Tokio.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnTokio;

impl<F> Executor<F> for OnTokio
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) -> JoinHandle<F::Output> {
        tokio::spawn(future)
    }
}

/// An extension of every future.
pub trait Spawned: Future + Sized {
    /// Starts it.
    fn spawned(self) -> JoinHandle<Self::Output>
    where
        Self: Send + 'static,
        Self::Output: Send + 'static,
    {
        tokio::spawn(self)
    }
}

impl<F: Future> Spawned for F {}

/// Many at once, results in order. `None` for those that panicked.
pub async fn all<F>(futures: impl IntoIterator<Item = F>) -> Vec<Option<F::Output>>
where
    F: Future<Output: Send> + Send + 'static,
{
    let tasks: Vec<_> = futures.into_iter().map(|future| tokio::spawn(future)).collect();
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.ok());
    }
    outputs
}

//! What is done with handles: kept in fields, collected, aborted, asked, selected on.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

/// An actor that adds up what it is sent.
#[derive(Debug)]
pub struct Adder {
    inbox: mpsc::Sender<u32>,
    task: JoinHandle<u32>,
}

impl Adder {
    /// Starts its task.
    pub fn start() -> Self {
        let (inbox, mut mail) = mpsc::channel(8);
        let task = tokio::spawn(async move {
            let mut sum = 0;
            while let Some(number) = mail.recv().await {
                sum += number;
            }
            sum
        });
        Self { inbox, task }
    }

    /// Sends a number; without effect if the actor has ended.
    pub async fn add(&self, number: u32) {
        let _ = self.inbox.send(number).await;
    }

    /// Ends it and gives the sum; `None` if it did not live to tell.
    pub async fn finish(self) -> Option<u32> {
        drop(self.inbox);
        self.task.await.ok()
    }

    /// Stops it from elsewhere.
    pub fn abort_handle(&self) -> AbortHandle {
        self.task.abort_handle()
    }
}

/// A task that ends with its handle.
#[derive(Debug)]
pub struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> AbortOnDrop<T> {
    /// Takes charge of a task.
    pub const fn new(task: JoinHandle<T>) -> Self {
        Self(task)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tasks that can be stopped by number.
#[derive(Debug, Default)]
pub struct Jobs {
    running: HashMap<u32, AbortHandle>,
}

impl Jobs {
    /// Starts a job that never ends by itself, and keeps what it was given.
    pub fn start<T: Send + Sync + 'static>(&mut self, number: u32, kept: Arc<T>) -> JoinHandle<()> {
        let task = tokio::task::spawn(async move {
            pending::<()>().await;
            drop(kept);
        });
        self.running.insert(number, task.abort_handle());
        task
    }

    /// Stops one.
    pub fn stop(&mut self, number: u32) -> bool {
        self.running.remove(&number).is_some_and(|job| {
            job.abort();
            true
        })
    }

    /// How many have not ended.
    pub fn alive(&self) -> usize {
        self.running.values().filter(|job| !job.is_finished()).count()
    }
}

/// Whichever comes first; the loser is aborted.
pub async fn first_of<T: Send + 'static>(
    one: impl Future<Output = T> + Send + 'static,
    other: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (mut one, mut other) = (tokio::spawn(one), tokio::spawn(other));
    let (won, loser) = tokio::select! {
        won = &mut one => (won, other),
        won = &mut other => (won, one),
    };
    loser.abort();
    won.ok()
}

/// A task that says when it has begun.
pub async fn begun<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let (begun, has_begun) = oneshot::channel();
    let task = tokio::spawn(async {
        let _ = begun.send(());
        work.await
    });
    let _ = has_begun.await;
    task
}

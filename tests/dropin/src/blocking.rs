//! Closures on blocking threads.

use std::num::ParseIntError;

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// Adds up, elsewhere.
pub fn sum(numbers: Vec<u64>) -> JoinHandle<u64> {
    tokio::task::spawn_blocking(move || numbers.into_iter().sum())
}

/// Parses, elsewhere; with two kinds of failure.
///
/// # Errors
///
/// If it is no number.
pub async fn parse(text: String) -> Result<Result<u64, ParseIntError>, JoinError> {
    spawn_blocking(move || text.parse()).await
}

/// The function as a value.
pub fn on_thread<R: Send + 'static>(closure: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    let start = spawn_blocking;
    start(closure)
}

/// A task from within blocking code.
pub async fn from_blocking_code(value: u32) -> Option<u32> {
    spawn_blocking(move || tokio::spawn(async move { value })).await.ok()?.await.ok()
}

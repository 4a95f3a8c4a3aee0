//! What the measured children do: the same futures for every contestant.

use std::hint::black_box;

use sc_tokio::Cancelled;
use tokio::task::yield_now;

/// The output of every measured child.
pub type Output = Result<u64, Cancelled>;

/// What a measured child is.
pub trait Work: Future<Output = Output> + Send + 'static {}

impl<F: Future<Output = Output> + Send + 'static> Work for F {}

/// Ready at its first poll.
///
/// # Errors
///
/// Never; the type is what scopes expect.
#[allow(clippy::unused_async, reason = "a child is a future, also one that never waits")]
pub async fn ready(number: u64) -> Output {
    Ok(black_box(number))
}

/// Suspended once.
///
/// # Errors
///
/// Never; the type is what scopes expect.
pub async fn suspended(number: u64) -> Output {
    yield_now().await;
    Ok(black_box(number))
}

/// Suspended three times.
///
/// # Errors
///
/// Never; the type is what scopes expect.
pub async fn woken(number: u64) -> Output {
    for _ in 0..3 {
        yield_now().await;
    }
    Ok(black_box(number))
}

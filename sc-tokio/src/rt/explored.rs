//! The facade's other side: what the engine runs on while Shuttle explores its schedules.
//!
//! Shuttle's Tokio where that is faithful, and models of our own where it is not: it counts no
//! `Arc`s ([`counted`]), lets every timer expire at once ([`clock`]), and never preempts a task
//! between the end of its future and the disposal of its output ([`spawn`]).
//!
//! Public for the exploring tests, and only in their build.

pub mod clock;
pub mod counted;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::rt::JoinHandle;

/// A point at which the explorer may run something else.
pub fn preempt() {
    // Shuttle has no time, so that its `sleep` is exactly that.
    shuttle::thread::sleep(Duration::ZERO);
}

/// Starts a task.
#[track_caller]
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    shuttle_tokio::spawn(Task { future })
}

/// Runs a closure in a task of its own; Shuttle models no pool of blocking threads.
#[track_caller]
pub(crate) fn spawn_blocking<F, R>(closure: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    shuttle_tokio::task::spawn_blocking(|| {
        let output = closure();
        preempt();
        output
    })
}

pin_project! {
    /// The future of a task, after whose end other tasks may run before its output is stored, or
    /// dropped because nobody waits for it. On Tokio they may; Shuttle's wrapper does both in one step.
    struct Task<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Task<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let output = ready!(self.project().future.poll(cx));
        preempt();
        Poll::Ready(output)
    }
}

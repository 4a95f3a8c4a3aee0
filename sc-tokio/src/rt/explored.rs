//! The facade's other side: what the engine runs on while Shuttle explores its schedules.
//!
//! Shuttle's Tokio where that is faithful, and models of our own where it is not: it counts no
//! `Arc`s ([`counted`]), lets every timer expire at once ([`clock`]), never preempts a task
//! between the end of its future and the disposal of its output ([`spawn`]), and has sets of tasks that
//! can only be awaited, not polled ([`join_set`]).
//!
//! Public for the exploring tests, and only in their build.

pub mod clock;
pub mod counted;
pub(crate) mod join_set;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::rt::{AbortHandle, Handle, JoinHandle};

/// Tells the runtimes of a model apart.
pub(crate) type RuntimeId = u64;

// `std`'s, since Shuttle runs all tasks of one exploration on one thread, and tests on several.
std::thread_local! {
    static RUNTIME: Cell<RuntimeId> = const { Cell::new(0) };
}

/// Begins a schedule: with the clock set back, and on a runtime of its own, so that nothing which is kept per
/// runtime is handed from one schedule to the next. To be called before anything else in a model.
pub fn begin() {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    RUNTIME.set(NEXT.fetch_add(1, Ordering::Relaxed));
    clock::reset();
}

/// Shuttle's runtimes are all the same one; there is one in each schedule.
pub(crate) fn id_of(_: &Handle) -> RuntimeId {
    RUNTIME.get()
}

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

/// Runs a closure in a task of its own; Shuttle models no pool of blocking threads. One that unwinds leaves
/// a handle that says so, if not with what: Shuttle would fail the schedule, and knows no other error than an abort.
#[track_caller]
pub(crate) fn spawn_blocking<F, R>(closure: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let itself = Arc::new(OnceLock::<AbortHandle>::new());
    let of_task = Arc::clone(&itself);
    let task = shuttle_tokio::spawn(async move {
        if let Ok(output) = catch_unwind(AssertUnwindSafe(closure)) {
            preempt();
            return output;
        }
        loop {
            if let Some(abort) = of_task.get() {
                abort.abort();
            }
            shuttle_tokio::task::yield_now().await;
        }
    });
    let _ = itself.set(task.abort_handle());
    task
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

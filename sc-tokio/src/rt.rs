//! The one door to the runtime and to `std`'s synchronisation.
//!
//! Everything that a schedule explorer has to control comes from here, so that the interleaving
//! tests run the production code: built with `--cfg sc_shuttle`, the same names are Shuttle's.

#[cfg(not(sc_shuttle))]
mod real {
    pub(crate) use std::sync::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use std::thread_local;

    pub(crate) use tokio::runtime::Handle;
    pub(crate) use tokio::task::{AbortHandle, JoinHandle};
    pub(crate) use tokio::time::{Instant, Sleep, sleep_until};
    pub(crate) use tokio_util::sync::CancellationToken;

    pub(crate) use super::counted::real::{Counted, WeakCounted};
}

#[cfg(sc_shuttle)]
mod real {
    pub(crate) use shuttle::sync::Mutex;
    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use shuttle::thread_local;

    pub(crate) use shuttle_tokio::runtime::Handle;
    pub(crate) use shuttle_tokio::task::{AbortHandle, JoinHandle};
    pub(crate) use shuttle_tokio::time::{Instant, Sleep, sleep_until};
    pub(crate) use shuttle_tokio_util::sync::CancellationToken;

    pub(crate) use super::counted::instrumented::{Counted, WeakCounted};
}

mod counted;

pub(crate) use real::*;

/// Locks a mutex that no user code ever runs under, so that a panic cannot leave its data half
/// changed and poison means nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Starts a task on the current runtime.
#[track_caller]
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[cfg(not(sc_shuttle))]
    return tokio::spawn(future);
    #[cfg(sc_shuttle)]
    return shuttle_tokio::spawn(future);
}

/// Runs a closure on the current runtime's blocking threads.
#[track_caller]
pub(crate) fn spawn_blocking<F, R>(closure: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    #[cfg(not(sc_shuttle))]
    return tokio::task::spawn_blocking(closure);
    #[cfg(sc_shuttle)]
    return shuttle_tokio::task::spawn_blocking(closure);
}

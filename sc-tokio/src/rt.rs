//! The one door to the runtime and to `std`'s synchronisation.
//!
//! Everything that a schedule explorer has to control comes from here, so that the interleaving
//! tests run the production code: built with `--cfg sc_shuttle`, the same names are Shuttle's.

use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(not(sc_shuttle))]
mod counted;
#[cfg(sc_shuttle)]
pub mod explored;

#[cfg(not(sc_shuttle))]
mod real {
    pub(crate) use std::sync::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use std::thread_local;

    pub(crate) use tokio::runtime::{Handle, Id as RuntimeId};
    pub(crate) use tokio::spawn;
    pub(crate) use tokio::task::coop::{consume_budget, unconstrained};
    pub(crate) use tokio::task::{AbortHandle, JoinError, JoinHandle, JoinSet, spawn_blocking};
    pub(crate) use tokio::time::{Instant, Sleep, sleep_until};
    pub(crate) use tokio_util::sync::CancellationToken;

    pub(crate) use super::counted::{Counted, WeakCounted};

    /// Tells runtimes apart.
    pub(crate) fn id_of(runtime: &Handle) -> RuntimeId {
        runtime.id()
    }

    /// Whether it is this task whose end was an error.
    pub(crate) fn is_of(error: &JoinError, task: &AbortHandle) -> bool {
        error.id() == task.id()
    }

    /// A static that a schedule explorer has to begin anew.
    macro_rules! global {
        ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)+) => {
            $($(#[$attribute])* static $name: $type = $value;)+
        };
    }
    pub(crate) use global;
}

#[cfg(sc_shuttle)]
mod real {
    pub(crate) use shuttle::sync::Mutex;
    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use shuttle::thread_local;

    pub(crate) use shuttle_tokio::runtime::Handle;
    pub(crate) use shuttle_tokio::task::coop::{consume_budget, unconstrained};
    pub(crate) use shuttle_tokio::task::{AbortHandle, JoinError, JoinHandle};
    pub(crate) use shuttle_tokio_util::sync::CancellationToken;

    pub(crate) use super::explored::clock::{Instant, Sleep, sleep_until};
    pub(crate) use super::explored::counted::{Counted, WeakCounted};
    pub(crate) use super::explored::join_set::{JoinSet, is_of};
    pub(crate) use super::explored::{RuntimeId, id_of, spawn, spawn_blocking};

    /// Begun anew with each schedule, so that none depends on another, and no two tests share it.
    macro_rules! global {
        ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)+) => {
            shuttle::lazy_static! { $($(#[$attribute])* static ref $name: $type = $value;)+ }
        };
    }
    pub(crate) use global;
}

pub(crate) use real::*;

/// Locks a mutex that no user code ever runs under, so that a panic cannot leave its data half
/// changed and poison means nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Polls a task's handle without spending the cooperative budget of the task that happens to run
/// here. With a budget, an output that is there is withheld from a loop that never yields, and the
/// lists of outputs to drop would grow (P11).
pub(crate) fn poll_unconstrained<T>(task: &mut JoinHandle<T>, cx: &mut Context<'_>) -> Poll<JoinResult<T>> {
    Pin::new(&mut unconstrained(task)).poll(cx)
}

/// Runs a closure on a blocking thread of this runtime, from wherever the call comes.
#[cfg(not(sc_shuttle))]
pub(crate) fn spawn_blocking_on<R: Send + 'static>(
    runtime: &Handle,
    closure: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R> {
    runtime.spawn_blocking(closure)
}

/// Shuttle's runtimes are all the same one.
#[cfg(sc_shuttle)]
pub(crate) fn spawn_blocking_on<R: Send + 'static>(
    _: &Handle,
    closure: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R> {
    spawn_blocking(closure)
}

/// Makes this runtime the current one while the guard lives.
#[cfg(not(sc_shuttle))]
pub(crate) fn enter(runtime: &Handle) -> tokio::runtime::EnterGuard<'_> {
    runtime.enter()
}

/// Shuttle's is always current.
#[cfg(sc_shuttle)]
pub(crate) fn enter(_: &Handle) {}

type JoinResult<T> = <JoinHandle<T> as Future>::Output;

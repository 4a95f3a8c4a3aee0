//! Waking: outside every lock, and whatever a waker does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes all of them. A waker that panics keeps nobody else from being woken (P1): without that,
/// one broken waker would hang every ancestor.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        // The payload goes nowhere: wakers belong to executors, not to a scope.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            discard(payload);
        }
    }
}

/// Drops a value of the user's, whose destructor may panic; gives back the panic.
pub(crate) fn drop_quietly<T>(value: T) -> Option<sc_core::Panic> {
    catch_unwind(AssertUnwindSafe(|| drop(value))).err().map(sc_core::Panic::new)
}

/// Drops a panic's payload, which may itself panic when dropped.
pub(crate) fn discard(payload: Box<dyn std::any::Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

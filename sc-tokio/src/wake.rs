//! Waking: outside every lock, and whatever a waker does.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};

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

/// A waker that keeps to itself what the user's does when it is woken or dropped, for code that would
/// not survive a panic: the set of borrowed children would never wake anybody again (P1). Made once
/// and used again as long as the user's waker is the same.
#[derive(Debug, Default)]
pub(crate) struct QuietWaker(Option<(Arc<Quiet>, Waker)>);

impl QuietWaker {
    pub(crate) fn of(&mut self, waker: &Waker) -> &Waker {
        if !self.0.as_ref().is_some_and(|(quiet, _)| quiet.0.as_ref().is_some_and(|inner| inner.will_wake(waker))) {
            let quiet = Arc::new(Quiet(Some(waker.clone())));
            self.0 = Some((Arc::clone(&quiet), Waker::from(quiet)));
        }
        let (_, waker) = self.0.as_ref().expect("it was just made");
        waker
    }
}

#[derive(Debug)]
pub(crate) struct Quiet(Option<Waker>);

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        wake_all(self.0.clone());
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(panic) = drop_quietly(self.0.take()) {
            discard(panic.into_payload());
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

thread_local! {
    static REFUSED: RefCell<VecDeque<Box<dyn FnOnce()>>> = const { RefCell::new(VecDeque::new()) };
    static REFUSING: Cell<bool> = const { Cell::new(false) };
}

/// Runs the destructors of refused code one after another. A destructor that spawns into the scope
/// that refused it would otherwise recurse, as deep as it likes.
pub(crate) fn refuse_in_turn(drop_it: impl FnOnce() + 'static) {
    if REFUSING.with(|busy| busy.replace(true)) {
        let mut drop_it: Option<Box<dyn FnOnce()>> = Some(Box::new(drop_it));
        let queued = REFUSED.try_with(|queue| queue.borrow_mut().extend(drop_it.take()));
        if let (Err(_), Some(drop_it)) = (queued, drop_it) {
            drop_it();
        }
        return;
    }
    drop_it();
    while let Some(next) = REFUSED.try_with(|queue| queue.borrow_mut().pop_front()).ok().flatten() {
        next();
    }
    REFUSING.with(|busy| busy.set(false));
}

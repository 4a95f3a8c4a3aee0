//! `Counted` with a count that Shuttle can see, and with races that can be planted in it.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicUsize, Ordering};

/// A deliberate mistake, to show that the explorer finds such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Becoming an owner looks at the count and raises it in two steps.
    UpgradeInTwoSteps,
    /// Ceasing to be one reads the count and writes it in two steps.
    ReleaseInTwoSteps,
}

// `std`'s, as in the clock: a test plants for the schedules of its own thread.
std::thread_local! {
    static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
}

/// Plants a mistake for all schedules that this thread explores, or takes it out.
pub fn plant(mistake: Option<Planted>) {
    PLANTED.set(mistake);
}

fn is_planted(mistake: Planted) -> bool {
    PLANTED.get() == Some(mistake)
}

struct Inner<T> {
    owners: AtomicUsize,
    value: Mutex<Option<Arc<T>>>,
}

impl<T> Inner<T> {
    /// One owner more, unless there is none.
    fn raise(&self) -> bool {
        if is_planted(Planted::UpgradeInTwoSteps) {
            let alive = self.owners.load(Ordering::SeqCst) > 0;
            if alive {
                self.owners.fetch_add(1, Ordering::SeqCst);
            }
            return alive;
        }
        let more = |owners: usize| (owners > 0).then_some(owners + 1);
        self.owners.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// One owner less. Whether it was the last.
    fn lower(&self) -> bool {
        if is_planted(Planted::ReleaseInTwoSteps) {
            let owners = self.owners.load(Ordering::SeqCst);
            self.owners.store(owners - 1, Ordering::SeqCst);
            return owners == 1;
        }
        self.owners.fetch_sub(1, Ordering::SeqCst) == 1
    }
}

/// An owner. `T`'s destructor runs when the last one goes.
pub(crate) struct Counted<T> {
    inner: Arc<Inner<T>>,
    value: Option<Arc<T>>,
}

/// Not an owner; can become one while there is another.
pub(crate) struct WeakCounted<T>(Arc<Inner<T>>);

impl<T> Counted<T> {
    pub(crate) fn new_cyclic(value: impl FnOnce(WeakCounted<T>) -> T) -> Self {
        let inner = Arc::new(Inner { owners: AtomicUsize::new(1), value: Mutex::new(None) });
        let value = Arc::new(value(WeakCounted(Arc::clone(&inner))));
        *crate::rt::lock(&inner.value) = Some(Arc::clone(&value));
        Self { inner, value: Some(value) }
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        self.inner.owners.fetch_add(1, Ordering::SeqCst);
        Self { inner: Arc::clone(&self.inner), value: self.value.clone() }
    }
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        // Before the count is lowered: `T`'s destructor belongs to the last owner.
        self.value = None;
        if self.inner.lower() {
            let last = crate::rt::lock(&self.inner.value).take();
            drop(last);
        }
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_deref().expect("only `drop` takes the value")
    }
}

impl<T> WeakCounted<T> {
    pub(crate) fn upgrade(&self) -> Option<Counted<T>> {
        if !self.0.raise() {
            return None;
        }
        let value = crate::rt::lock(&self.0.value).clone();
        // What would be a use after free; only a planted mistake gets here.
        assert!(value.is_some(), "became an owner of what is gone");
        Some(Counted { inner: Arc::clone(&self.0), value })
    }

    pub(crate) fn owners(&self) -> usize {
        self.0.owners.load(Ordering::SeqCst)
    }
}

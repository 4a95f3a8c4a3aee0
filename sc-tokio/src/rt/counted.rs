//! A shared value whose last owner is told: the counter behind every scope.
//!
//! `std`'s `Arc` counts already, and its count is free since every child needs a pointer to its
//! scope anyway. Shuttle cannot see inside `Arc`, so that the interleavings of "last exit" with
//! "late spawn" would never be explored; there, a count of our own stands in its place
//! (`explored/counted.rs`).

use std::ops::Deref;
use std::sync::{Arc, Weak};

/// An owner. `T`'s destructor runs when the last one goes.
pub(crate) struct Counted<T>(Arc<T>);

/// Not an owner; can become one while there is another.
pub(crate) struct WeakCounted<T>(Weak<T>);

impl<T> Counted<T> {
    /// The first owner of a value that knows itself.
    pub(crate) fn new_cyclic(value: impl FnOnce(WeakCounted<T>) -> T) -> Self {
        Self(Arc::new_cyclic(|weak| value(WeakCounted(Weak::clone(weak)))))
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> WeakCounted<T> {
    pub(crate) fn upgrade(&self) -> Option<Counted<T>> {
        self.0.upgrade().map(Counted)
    }

    pub(crate) fn owners(&self) -> usize {
        self.0.strong_count()
    }
}

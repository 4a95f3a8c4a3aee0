//! A shared value whose last owner is told: the counter behind every scope.
//!
//! `std`'s `Arc` counts already, and its count is free since every child needs a pointer to its
//! scope anyway. Shuttle cannot see inside `Arc`, so that the interleavings of "last exit" with
//! "late spawn" would never be explored; there, a count of our own stands in its place.

#[cfg(not(sc_shuttle))]
pub(super) mod real {
    use std::ops::Deref;
    use std::sync::{Arc, Weak};

    /// An owner. `T`'s destructor runs when the last one goes.
    pub(crate) struct Counted<T>(Arc<T>);

    /// Not an owner; can become one while there is another.
    pub(crate) struct WeakCounted<T>(Weak<T>);

    impl<T> Counted<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Arc::new(value))
        }

        pub(crate) fn downgrade(&self) -> WeakCounted<T> {
            WeakCounted(Arc::downgrade(&self.0))
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
}

#[cfg(sc_shuttle)]
pub(super) mod instrumented {
    use std::ops::Deref;
    use std::sync::Arc;

    use shuttle::sync::Mutex;
    use shuttle::sync::atomic::{AtomicUsize, Ordering};

    struct Inner<T> {
        owners: AtomicUsize,
        value: Mutex<Option<Arc<T>>>,
    }

    /// An owner. `T`'s destructor runs when the last one goes.
    pub(crate) struct Counted<T> {
        inner: Arc<Inner<T>>,
        value: Option<Arc<T>>,
    }

    /// Not an owner; can become one while there is another.
    pub(crate) struct WeakCounted<T>(Arc<Inner<T>>);

    impl<T> Counted<T> {
        pub(crate) fn new(value: T) -> Self {
            let value = Arc::new(value);
            let inner = Inner { owners: AtomicUsize::new(1), value: Mutex::new(Some(Arc::clone(&value))) };
            Self { inner: Arc::new(inner), value: Some(value) }
        }

        pub(crate) fn downgrade(&self) -> WeakCounted<T> {
            WeakCounted(Arc::clone(&self.inner))
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
            self.value = None;
            if self.inner.owners.fetch_sub(1, Ordering::SeqCst) == 1 {
                let last = super::super::lock(&self.inner.value).take();
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
            let mut owners = self.0.owners.load(Ordering::SeqCst);
            while owners > 0 {
                match self.0.owners.compare_exchange(owners, owners + 1, Ordering::SeqCst, Ordering::SeqCst) {
                    Ok(_) => {
                        let value = super::super::lock(&self.0.value).clone();
                        return Some(Counted { inner: Arc::clone(&self.0), value });
                    }
                    Err(now) => owners = now,
                }
            }
            None
        }

        pub(crate) fn owners(&self) -> usize {
            self.0.owners.load(Ordering::SeqCst)
        }
    }
}

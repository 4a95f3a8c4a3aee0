//! Holds: what keeps a scope open.
//!
//! The driver holds its scope until the body has ended, each ordinary child until its captures are
//! dropped, each nested scope until it is closed. Whoever has a hold may admit another; the
//! destructor behind the last one tells the scope that it is drained. The count is that of a shared
//! pointer which a child needs anyway, so a successful exit takes no lock (P1).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use crate::node::Node;
use crate::rt::{Counted, WeakCounted, thread_local};

/// One reason why a scope is still open.
#[derive(Clone)]
pub(crate) struct Hold(Counted<Held>);

/// Finds the holds of a scope, if there still are any.
pub(crate) struct WeakHold(WeakCounted<Held>);

struct Held {
    node: Arc<Node>,
}

impl Hold {
    /// The first hold of a scope, the driver's, and the scope with it.
    pub(crate) fn first(node: impl FnOnce(WeakHold) -> Arc<Node>) -> Self {
        Self(Counted::new_cyclic(|weak| Held { node: node(WeakHold(weak)) }))
    }

    #[inline]
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.0.node
    }
}

impl WeakHold {
    /// Another hold, unless the scope is drained.
    #[inline]
    pub(crate) fn upgrade(&self) -> Option<Hold> {
        self.0.upgrade().map(Hold)
    }

    /// How many there are, the driver's and those of nested scopes included.
    pub(crate) fn count(&self) -> usize {
        self.0.owners()
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hold").field(&self.0.node.id()).finish()
    }
}

impl fmt::Debug for WeakHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakHold").field(&self.count()).finish()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        Drained::process(Arc::clone(&self.node));
    }
}

thread_local! {
    static QUEUE: RefCell<Vec<Arc<Node>>> = const { RefCell::new(Vec::new()) };
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// A drained scope may close, which releases its hold of its parent, which may drain that: a loop
/// on one thread instead of a recursion, so that 10^5 levels end in constant stack (P11).
struct Drained;

impl Drained {
    fn process(node: Arc<Node>) {
        if !BUSY.try_with(|busy| busy.replace(true)).unwrap_or(false) {
            let mut next = Some(node);
            while let Some(node) = next {
                node.all_released();
                drop(node);
                next = QUEUE.try_with(|queue| queue.borrow_mut().pop()).ok().flatten();
            }
            let _ = BUSY.try_with(|busy| busy.set(false));
            return;
        }
        let mut node = Some(node);
        let queued = QUEUE.try_with(|queue| queue.borrow_mut().extend(node.take()));
        // A thread that is being torn down has no queue any more; the recursion it may cause is as
        // deep as the scopes that close on it.
        if let (Err(_), Some(node)) = (queued, node) {
            node.all_released();
        }
    }
}

//! A place on a scope's list of waiters.

use std::task::Context;

use crate::node::Node;

/// Empty until somebody waits with it; to be left before it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    key: Option<usize>,
}

impl Waiting {
    /// Has the task woken at the scope's next change of state. Check again after this call.
    pub(crate) fn wait(&mut self, node: &Node, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let old = node.books().waiters.wait(&mut self.key, waker);
        drop(old);
    }

    #[inline]
    pub(crate) fn leave(&mut self, node: &Node) {
        if let Some(key) = self.key.take() {
            Self::leave_place(node, key);
        }
    }

    #[cold]
    fn leave_place(node: &Node, key: usize) {
        let old = node.books().waiters.leave(key);
        drop(old);
    }
}

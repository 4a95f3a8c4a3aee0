//! A place on a scope's list of waiters.

use std::num::NonZeroU32;
use std::task::Context;

use crate::books::Books;
use crate::node::Node;

/// Empty until somebody waits with it; to be left before it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// One more than the place on the list: every handle of a child has one of these, and most never wait.
    key: Option<NonZeroU32>,
}

impl Waiting {
    /// Has the task woken at the scope's next change of state. Check again after this call.
    pub(crate) fn wait(&mut self, node: &Node, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let mut place = self.key.map(|key| key.get() as usize - 1);
        let old = node.books().waiters.wait(&mut place, waker);
        self.key = place.and_then(|place| NonZeroU32::new(u32::try_from(place + 1).ok()?));
        debug_assert!(self.key.is_some(), "fewer than 2^32 wait for one scope");
        drop(old);
    }

    /// Asks `has_come`; `Some(false)` if it has not, and the task waits here already, `None` if it does not.
    pub(crate) fn is_there(
        &self,
        node: &Node,
        cx: &Context<'_>,
        has_come: impl FnOnce(&Books) -> bool,
    ) -> Option<bool> {
        let books = node.books();
        if has_come(&books) {
            return Some(true);
        }
        let key = self.key?;
        books.waiters.is_waiting(key.get() as usize - 1, cx.waker()).then_some(false)
    }

    #[inline]
    pub(crate) fn leave(&mut self, node: &Node) {
        if let Some(key) = self.key.take() {
            Self::leave_place(node, key.get() as usize - 1);
        }
    }

    #[cold]
    fn leave_place(node: &Node, key: usize) {
        let old = node.books().waiters.leave(key);
        drop(old);
    }
}

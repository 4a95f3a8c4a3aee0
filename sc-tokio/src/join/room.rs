//! Room for another child of a join.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::limit::{Limit, Seat};
use crate::node::Node;

/// Asks for a seat before a child is made, so that the source is not run ahead of the children.
pub(super) struct Room {
    limit: Option<Limit>,
    /// Asked for, and not yet given to a child.
    seat: Option<Seat>,
}

impl Room {
    pub(super) const fn under(limit: Option<Limit>) -> Self {
        Self { limit, seat: None }
    }

    /// Ready when there is room for a child of this number, with the seat it has to be given.
    pub(super) fn poll(&mut self, node: &Arc<Node>, child: usize, cx: &mut Context<'_>) -> Poll<Option<Seat>> {
        let Some(limit) = &self.limit else { return Poll::Ready(None) };
        let seat = self.seat.get_or_insert_with(|| limit.queue_up(Some((node, child as u64)), true));
        ready!(seat.poll(cx));
        Poll::Ready(self.seat.take())
    }

    /// Nobody is to be started any more.
    pub(super) fn close(&mut self) {
        self.seat = None;
    }
}

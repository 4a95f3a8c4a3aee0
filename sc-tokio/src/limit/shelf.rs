//! Seats of tasks that have ended and whose results nobody has taken yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Limit, Seat, Standing};
use crate::node::Node;
use crate::rt::{Mutex, lock};

/// Where the tasks of a join set leave their seats when they end; who takes a result gives up the seat. `None` once the set
/// is gone.
pub(crate) struct Shelf(Mutex<Option<BTreeMap<u64, Seat>>>);

impl Shelf {
    /// Keeps the seat of a task, or gives it up.
    pub(crate) fn put(&self, id: u64, seat: Seat) {
        // A lent seat goes back to its lender, which may be the one who is to take the result.
        if !seat.is_own() {
            return;
        }
        let unwanted = match &mut *lock(&self.0) {
            Some(seats) => seats.insert(id, seat),
            None => Some(seat),
        };
        drop(unwanted);
    }

    /// The result was taken. Gives the seat, to be dropped.
    pub(crate) fn take(&self, id: u64) -> Option<Seat> {
        lock(&self.0).as_mut()?.remove(&id)
    }

    /// Keeps no more seats. Gives those that are there, to be dropped.
    pub(crate) fn close(&self) -> Option<BTreeMap<u64, Seat>> {
        lock(&self.0).take()
    }
}

impl Default for Shelf {
    fn default() -> Self {
        Self(Mutex::new(Some(BTreeMap::new())))
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("seats", &lock(&self.0).as_ref().map(BTreeMap::len)).finish()
    }
}

impl Seat {
    /// Whether it is a seat, and nobody else's.
    fn is_own(&self) -> bool {
        self.standing == Standing::Held && !lock(&self.limit.0.books).lenders.contains_key(&self.ticket)
    }
}

impl Limit {
    /// Whether this child waits for a seat.
    pub(crate) fn is_queued(&self, node: &Arc<Node>, id: u64) -> bool {
        lock(&self.0.books).children.contains_key(&(node.id(), id))
    }
}

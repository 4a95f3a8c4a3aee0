//! What a child is to be, beside its code.

use std::panic::Location;
use std::sync::Arc;

use sc_core::{ChildKind, Name};

use super::{Admitted, Starting};
use crate::limit::{Seat, Shelf};
use crate::node::Node;
use crate::present::Label;

/// What a child is to be.
#[derive(Debug)]
pub(crate) struct Attributes {
    pub(crate) kind: ChildKind,
    pub(crate) name: Option<Name>,
    pub(crate) place: &'static Location<'static>,
    /// Reserved for it before it was spawned.
    pub(crate) seat: Option<Seat>,
}

impl Attributes {
    /// An ordinary child, spawned at `place`.
    #[inline]
    pub(crate) const fn at(place: &'static Location<'static>) -> Self {
        Self { kind: ChildKind::LINKED, name: None, place, seat: None }
    }

    pub(crate) const fn spawned_at(mut self, place: &'static Location<'static>) -> Self {
        self.place = place;
        self
    }

    /// A child of `node` that was admitted with this number.
    #[inline]
    pub(crate) fn admitted<M>(self, node: &Arc<Node>, member: M, id: u64, seen: u64) -> Admitted<M> {
        let Self { kind, name, place, seat } = self;
        let seat = seat.filter(|_| !kind.daemon).or_else(|| node.queue_for_seat(id, kind));
        let extra = seat.map(|seat| Box::new(Extra { seat: Some(seat), ..Extra::default() }));
        Admitted { member, id, seen, kind, label: Label { place, name }, extra }
    }
}

/// What few children have. Boxed, so that the others pay one word.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// Its place under the scope's limit, or in the queue for one.
    pub(crate) seat: Option<Seat>,
    /// Where it leaves its seat when it ends.
    pub(crate) shelf: Option<Arc<Shelf>>,
    /// It has yet to say that it is ready.
    pub(crate) starting: Option<Starting>,
}

impl Extra {
    /// The child with this number has ended.
    pub(crate) fn end(mut self, id: u64) {
        if let (Some(shelf), Some(seat)) = (&self.shelf, self.seat.take()) {
            shelf.put(id, seat);
        }
    }

    /// Runs code of the child.
    pub(crate) fn around<R>(&mut self, code: impl FnOnce() -> R) -> R {
        match &mut self.seat {
            Some(seat) => seat.sit(code),
            None => code(),
        }
    }
}

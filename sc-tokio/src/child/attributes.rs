//! What a child is to be, beside its code.

use std::panic::Location;
use std::sync::Arc;

use sc_core::{ChildKind, Name};

use super::Admitted;
use crate::limit::Seat;
use crate::node::Node;
use crate::present::Label;
use crate::values::{self, Values};

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
        let extra = Extra::new(seat, values::inherited());
        Admitted { member, id, seen, kind, label: Label { place, name }, extra }
    }
}

/// What few children have. Boxed, so that the others pay one word.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// Its place under the scope's limit, or in the queue for one.
    pub(crate) seat: Option<Seat>,
    /// What was bound where it was spawned; `None` if nothing ever was.
    values: Option<Values>,
}

impl Extra {
    /// Of a child that has any of this.
    #[inline]
    pub(crate) fn new(seat: Option<Seat>, values: Option<Values>) -> Option<Box<Self>> {
        if seat.is_none() && values.is_none() {
            return None;
        }
        Some(Box::new(Self { seat, values }))
    }

    /// Runs code of the child.
    pub(crate) fn around<R>(&mut self, code: impl FnOnce() -> R) -> R {
        let Self { seat, values } = self;
        let code = || match seat {
            Some(seat) => seat.sit(code),
            None => code(),
        };
        match values {
            Some(values) => values.around(code),
            None => code(),
        }
    }
}

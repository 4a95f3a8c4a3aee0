//! What a child is to be, beside its code.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use sc_core::{ChildKind, Name};

use super::{Admitted, Starting};
use crate::limit::Seat;
use crate::node::Node;
use crate::present::Label;
use crate::shield::ShieldedMember;

/// What a child is to be.
#[derive(Debug)]
pub(crate) struct Attributes {
    pub(crate) kind: ChildKind,
    pub(crate) name: Option<Name>,
    pub(crate) place: &'static Location<'static>,
    /// Reserved for it before it was spawned.
    pub(crate) seat: Option<Seat>,
    /// It is polled in the task of whoever polls its scope.
    pub(crate) inside: bool,
    /// No limit counts it.
    pub(crate) seatless: bool,
    /// It goes on for this long after it was told to stop; its code is [`crate::shield::whole`].
    pub(crate) shielded: Option<Duration>,
}

impl Attributes {
    /// An ordinary child, spawned at `place`.
    #[inline]
    pub(crate) const fn at(place: &'static Location<'static>) -> Self {
        Self { kind: ChildKind::LINKED, name: None, place, seat: None, inside: false, seatless: false, shielded: None }
    }

    pub(crate) const fn spawned_at(mut self, place: &'static Location<'static>) -> Self {
        self.place = place;
        self
    }

    /// A child of `node` that was admitted with this number.
    #[inline]
    pub(crate) fn admitted<M>(self, node: &Arc<Node>, member: M, id: u64, seen: u64) -> Admitted<M> {
        let Self { kind, name, place, seat, seatless, shielded, inside } = self;
        let counts = !kind.daemon && !seatless;
        let seat = seat.filter(|_| counts).or_else(|| if counts { node.queue_for_seat(id, inside) } else { None });
        let shielded = shielded.map(|_| ShieldedMember::new(node, id));
        let is_plain = seat.is_none() && shielded.is_none();
        let extra = (!is_plain).then(|| Box::new(Extra { seat, shielded, ..Extra::default() }));
        Admitted { member, id, seen, kind, label: Label { place, name }, extra }
    }
}

/// What few children have. Boxed, so that the others pay one word.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// Its place under the scope's limit, or in the queue for one.
    pub(crate) seat: Option<Seat>,
    /// It is not stopped before its shield is done.
    #[allow(dead_code, reason = "held, and released by its destructor")]
    pub(crate) shielded: Option<ShieldedMember>,
    /// It has yet to say that it is ready.
    pub(crate) starting: Option<Starting>,
}

impl Extra {
    /// Runs code of the child.
    pub(crate) fn around<R>(&mut self, code: impl FnOnce() -> R) -> R {
        match &mut self.seat {
            Some(seat) => seat.sit(code),
            None => code(),
        }
    }
}

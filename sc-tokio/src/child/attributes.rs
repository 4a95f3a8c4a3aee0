//! What a child is to be, beside its code.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use sc_core::{ChildKind, Name};

use super::limited::Bound;
use super::wrapped::Wrapping;
use super::{Admitted, Starting};
use crate::frame::Ambient;
use crate::limit::{Seat, Shelf};
use crate::node::Node;
use crate::present::Label;
use crate::rt::Instant;
use crate::shield::ShieldedMember;
use crate::shutdown::{self, Enlisted};
use crate::values::{self, Values};

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
    pub(super) more: Option<Box<More>>,
}

/// What few children are asked to be. Boxed, so that the others are not made slower.
#[derive(Debug, Default)]
pub(crate) struct More {
    timeout: Option<Duration>,
    grace: Option<Duration>,
    until_shutdown: bool,
    /// It goes on for this long after it was told to stop; its code is [wrapped](super::wrapped) so.
    shielded: Option<Duration>,
    /// No limit counts it.
    seatless: bool,
}

impl Attributes {
    /// An ordinary child, spawned at `place`.
    #[inline]
    pub(crate) const fn at(place: &'static Location<'static>) -> Self {
        Self { kind: ChildKind::LINKED, name: None, place, seat: None, inside: false, more: None }
    }

    pub(crate) const fn spawned_at(mut self, place: &'static Location<'static>) -> Self {
        self.place = place;
        self
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.more.get_or_insert_default().timeout = Some(timeout);
    }

    pub(crate) fn set_grace(&mut self, grace: Duration) {
        self.more.get_or_insert_default().grace = Some(grace);
    }

    pub(crate) fn stop_at_shutdown(&mut self) {
        self.more.get_or_insert_default().until_shutdown = true;
    }

    /// Its code is to be wrapped, see [`take_wrapping`](Self::take_wrapping).
    pub(crate) fn set_shielded(&mut self, limit: Duration) {
        self.more.get_or_insert_default().shielded = Some(limit);
    }

    pub(crate) fn shielded(&self) -> Option<Duration> {
        self.more.as_ref().and_then(|more| more.shielded)
    }

    /// No limit is to count it.
    pub(crate) fn set_seatless(&mut self) {
        self.more.get_or_insert_default().seatless = true;
    }

    pub(crate) fn grace(&self) -> Option<Duration> {
        self.more.as_ref().and_then(|more| more.grace)
    }

    /// What the code of the child is to be wrapped in. If the deadline is not taken, the child is left to look at it itself.
    pub(crate) fn take_wrapping(&mut self, node: &Node) -> Option<Wrapping> {
        let limit = self.more.as_mut()?.timeout.take();
        let bound = limit.map(|limit| {
            let grace = self.grace().or_else(|| node.books().scope.config().grace);
            Bound { limit, grace, name: self.name.clone(), place: self.place }
        });
        let shield = self.shielded();
        (bound.is_some() || shield.is_some()).then_some(Wrapping { bound, shield, place: self.place })
    }

    /// A child of `node` that was admitted with this number.
    #[inline]
    pub(crate) fn admitted(self, node: &Arc<Node>, ambient: Ambient, id: u64, seen: u64) -> Admitted {
        let Self { kind, name, place, seat, inside, more } = self;
        let counts = !kind.daemon && !more.as_ref().is_some_and(|more| more.seatless);
        let seat = seat
            .filter(|_| counts)
            .map(|seat| seat.passed_on(inside))
            .or_else(|| if counts { node.queue_for_seat(id, inside) } else { None });
        let mut extra = Extra::new(seat, values::inherited());
        if let Some(more) = more {
            extra.get_or_insert_default().take_up(&more, node, id, kind, name.as_ref());
        }
        Admitted { ambient, id, seen, kind, label: Label { place, name }, extra }
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
    /// Where it leaves its seat when it ends.
    pub(crate) shelf: Option<Arc<Shelf>>,
    /// It has yet to say that it is ready.
    pub(crate) starting: Option<Starting>,
    /// What was bound where it was spawned; `None` if nothing ever was.
    values: Option<Values>,
    /// It is on the list of those with a grace of their own.
    pub(crate) has_grace: bool,
    /// It is on the list of those that a shutdown stops.
    #[allow(dead_code, reason = "held, and taken off the list by its destructor")]
    enlisted: Option<Enlisted>,
    /// A blocking child's: it has to look at its deadline itself.
    pub(crate) timeout: Option<(Duration, Option<Name>)>,
}

impl Extra {
    /// Of a child that has any of this.
    #[inline]
    pub(crate) fn new(seat: Option<Seat>, values: Option<Values>) -> Option<Box<Self>> {
        if seat.is_none() && values.is_none() {
            return None;
        }
        Some(Box::new(Self { seat, values, ..Self::default() }))
    }

    #[cold]
    fn take_up(&mut self, more: &More, node: &Arc<Node>, id: u64, kind: ChildKind, name: Option<&Name>) {
        if let Some(grace) = more.grace {
            // The scope may have been cancelled since it admitted the child.
            let is_late = {
                let mut books = node.books();
                let cancelled_at = books.scope.cancelled_at().map(Instant::from_std);
                books.graces.enter(id, grace, kind.daemon, cancelled_at);
                cancelled_at.is_some()
            };
            if is_late {
                node.rearm();
            }
            self.has_grace = true;
        }
        if more.until_shutdown {
            self.enlisted = shutdown::enlist(node, id, kind.daemon);
        }
        self.shielded = more.shielded.map(|_| ShieldedMember::new(node, id));
        self.timeout = more.timeout.map(|timeout| (timeout, name.cloned()));
    }

    /// The child with this number has ended.
    pub(crate) fn end(mut self, id: u64) {
        if let (Some(shelf), Some(seat)) = (&self.shelf, self.seat.take()) {
            shelf.put(id, seat);
        }
    }

    /// Runs code of the child.
    pub(crate) fn around<R>(&mut self, code: impl FnOnce() -> R) -> R {
        let Self { seat, values, .. } = self;
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

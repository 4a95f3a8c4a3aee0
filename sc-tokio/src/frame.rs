//! Frames: what is polled and dropped as one, and what a frame knows while it runs.
//!
//! The body, each borrowed child and each parallel child is a frame. While one is polled (or
//! dropped), a thread-local slot says so. Three things depend on it: a nursery finds its parent
//! there at its first poll; the scopes a frame opened are cancelled when it ends (P3); and a dead
//! child that is awaited leaves its mark there, so that whoever polls the frame can end it.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sc_core::{DeadChild, Panic};

use crate::fault::Fault;
use crate::hold::Hold;
use crate::node::Node;
use crate::rt::thread_local;

/// The scope that a frame belongs to.
///
/// A child lends its own count of the scope to the slot while it is polled, which costs nothing;
/// the body, borrowed children and daemons do not hold their scope open.
#[derive(Debug)]
pub(crate) enum Ambient {
    Counted(Hold),
    Plain(Arc<Node>),
}

impl Ambient {
    pub(crate) fn node(&self) -> &Arc<Node> {
        match self {
            Self::Counted(hold) => hold.node(),
            Self::Plain(node) => node,
        }
    }
}

/// Which member of its scope a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Body,
    Child { id: u64, daemon: bool },
}

impl Who {
    /// As a number: that of the child.
    pub(crate) const fn member(self) -> u64 {
        match self {
            Self::Body => crate::shield::BODY,
            Self::Child { id, .. } => id,
        }
    }
}

/// The scopes that a frame has opened and not closed.
///
/// Boxed twice over, since most frames open none and every child pays for the space.
#[derive(Debug, Default)]
#[allow(clippy::box_collection, reason = "one word in every child instead of three")]
pub(crate) struct Opened(Option<Box<Vec<Arc<Node>>>>);

impl Opened {
    fn push(&mut self, node: Arc<Node>) {
        let list = self.0.get_or_insert_default();
        // Scopes close in the reverse of the order they were opened in, nearly always; those that
        // do not are swept before the list grows, so that it stays in proportion (P11).
        if list.len() == list.capacity() {
            list.retain(|node| !node.is_closed());
        }
        list.push(node);
    }

    fn pop_closed(&mut self) {
        if let Some(list) = &mut self.0 {
            while list.last().is_some_and(|node| node.is_closed()) {
                list.pop();
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.0.iter().flat_map(|list| list.iter())
    }

    /// The frame has ended and been dropped: cancels what it opened and left open (P3).
    pub(crate) fn end(&mut self) {
        // Most frames open nothing.
        if let Some(list) = self.0.take() {
            for node in list.into_iter().filter(|node| !node.is_closed()) {
                node.opener_ended();
            }
        }
    }
}

/// The mark of a dead child that was awaited: the frame has to end.
#[derive(Debug)]
pub(crate) struct Dead {
    /// The child's failure, if it goes to the frame that awaited it.
    pub(crate) failure: Option<Fault>,
}

/// What the thread-local slot holds while a frame runs.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) ambient: Ambient,
    pub(crate) who: Who,
    pub(crate) opened: Opened,
    pub(crate) dead: Option<Box<Dead>>,
}

thread_local! {
    /// Without a destructor, which would cost a look at its state at every visit: what is put in
    /// is taken out again by the same call of [`Frame::run`], so that nothing is ever left to drop.
    static CURRENT: Cell<ManuallyDrop<Option<Frame>>> = const { Cell::new(ManuallyDrop::new(None)) };
}

#[inline]
fn swap(frame: Option<Frame>) -> Option<Frame> {
    CURRENT.with(|slot| ManuallyDrop::into_inner(slot.replace(ManuallyDrop::new(frame))))
}

/// How a piece of user code ended.
#[derive(Debug)]
pub(crate) enum Ran<R> {
    Done(R),
    Panicked(Panic),
    /// Unwound by a dead child: by its handle, which a nested `block_on` went on polling, or by
    /// [`Failure::into_error`](sc_core::Failure::into_error).
    DeadChild,
}

impl<R> Ran<R> {
    pub(crate) fn into_panic(self) -> Option<Panic> {
        match self {
            Self::Panicked(panic) => Some(panic),
            Self::Done(_) | Self::DeadChild => None,
        }
    }
}

impl Frame {
    pub(crate) const fn new(ambient: Ambient, who: Who, opened: Opened) -> Self {
        Self { ambient, who, opened, dead: None }
    }

    /// Runs user code as this frame, and catches its panics.
    pub(crate) fn run<R>(self, code: impl FnOnce() -> R) -> (Self, Ran<R>) {
        let outer = swap(Some(self));
        let result = catch_unwind(AssertUnwindSafe(code));
        let frame = swap(outer).expect("frames are entered and left in pairs");
        let ran = match result {
            Ok(value) => Ran::Done(value),
            Err(payload) if payload.is::<DeadChild>() => Ran::DeadChild,
            Err(payload) => Ran::Panicked(Panic::new(payload)),
        };
        (frame, ran)
    }
}

/// Looks at the frame that is running on this thread. `f` is never user code.
fn with_current<R>(f: impl FnOnce(Option<&mut Frame>) -> R) -> R {
    let mut frame = swap(None);
    let result = f(frame.as_mut());
    swap(frame);
    result
}

/// Who opens a scope here.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) node: Arc<Node>,
    pub(crate) who: Who,
    /// The frame is part of its scope's own future: the body, or a borrowed child.
    pub(crate) in_future: bool,
}

impl Opener {
    /// Code that runs in no frame, below a program's root.
    pub(crate) const fn at_the_top_of(root: Arc<Node>) -> Self {
        Self { node: root, who: Who::Body, in_future: false }
    }
}

/// The scope and the member that run here.
pub(crate) fn current() -> Option<Opener> {
    with_current(|frame| {
        let frame = frame?;
        let daemon = matches!(frame.who, Who::Child { daemon: true, .. });
        let in_future = matches!(frame.ambient, Ambient::Plain(_)) && !daemon;
        Some(Opener { node: Arc::clone(frame.ambient.node()), who: frame.who, in_future })
    })
}

/// Whether the code that runs here belongs to this scope.
pub(crate) fn is_inside(node: &Arc<Node>) -> bool {
    with_current(|frame| frame.is_some_and(|frame| Arc::ptr_eq(frame.ambient.node(), node)))
}

/// Whether a frame runs here, which a dead child can end.
pub(crate) fn is_any() -> bool {
    with_current(|frame| frame.is_some())
}

/// The running frame has opened this scope.
pub(crate) fn opened(node: &Arc<Node>) {
    with_current(|frame| {
        if let Some(frame) = frame {
            frame.opened.push(Arc::clone(node));
        }
    });
}

/// A scope was closed here; if the running frame opened it, it need not remember.
pub(crate) fn closed() {
    with_current(|frame| {
        if let Some(frame) = frame {
            frame.opened.pop_closed();
        }
    });
}

/// A dead child was awaited here: marks the frame. Gives the failure back if there is no frame, or
/// if the frame has a mark already.
pub(crate) fn mark_dead(dead: Dead) -> Result<(), Dead> {
    with_current(|frame| match frame {
        Some(frame) if frame.dead.is_none() => {
            frame.dead = Some(Box::new(dead));
            Ok(())
        }
        _ => Err(dead),
    })
}

/// Unwinds out of a frame that will not stop polling a dead child.
pub(crate) fn unwind_dead() -> ! {
    DeadChild::unwind()
}

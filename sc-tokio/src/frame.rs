//! Frames: what is polled and dropped as one, and what a frame knows while it runs.
//!
//! The body, each borrowed child and each parallel child is a frame. While one is polled (or
//! dropped), a thread-local slot says so. Three things depend on it: a nursery finds its parent
//! there at its first poll; the scopes a frame opened are cancelled when it ends (P3); and a dead
//! child that is awaited leaves its mark there, so that whoever polls the frame can end it.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::mem::{self, ManuallyDrop};
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

/// Which member of its scope a frame is, in one word: every child carries one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who(u64);

/// The bit of a daemon. No scope ever numbers 2^63 children.
const DAEMON: u64 = 1 << 63;

impl Who {
    pub(crate) const BODY: Self = Self(crate::shield::BODY);

    pub(crate) const fn child(id: u64, daemon: bool) -> Self {
        Self(if daemon { id | DAEMON } else { id })
    }

    /// The child's number, and whether it is a daemon; `None` if this is the body.
    pub(crate) const fn as_child(self) -> Option<(u64, bool)> {
        if self.0 == Self::BODY.0 { None } else { Some((self.0 & !DAEMON, self.is_daemon())) }
    }

    pub(crate) const fn is_daemon(self) -> bool {
        self.0 & DAEMON != 0 && self.0 != Self::BODY.0
    }

    /// As a number: that of the child, else [`BODY`](crate::shield::BODY).
    pub(crate) const fn member(self) -> u64 {
        if self.0 == Self::BODY.0 { self.0 } else { self.0 & !DAEMON }
    }
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Who").field(&self.as_child()).finish()
    }
}

/// The scopes that a frame has opened and not closed.
///
/// Boxed twice over, since most frames open none and every child pays for the space.
#[derive(Debug, Default)]
#[allow(clippy::box_collection, reason = "one word in every child instead of three")]
pub(crate) struct Opened(Option<Box<Vec<Arc<Node>>>>);

impl Opened {
    /// Gives back what is to be dropped when the slot is free again: a scope may own the user's values to its end.
    #[must_use]
    fn push(&mut self, node: Arc<Node>) -> Vec<Arc<Node>> {
        let list = self.0.get_or_insert_default();
        let mut swept = Vec::new();
        // Scopes close in the reverse of the order they were opened in, nearly always; those that
        // do not are swept before the list grows, so that it stays in proportion (P11).
        if list.len() == list.capacity() && !list.is_empty() {
            let (closed, open) = std::mem::take(&mut **list).into_iter().partition(|node| node.is_closed());
            (swept, **list) = (closed, open);
        }
        list.push(node);
        swept
    }

    #[must_use]
    fn pop_closed(&mut self) -> Option<Arc<Node>> {
        let list = self.0.as_mut()?;
        if list.last()?.is_closed() { list.pop() } else { None }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.0.iter().flat_map(|list| list.iter())
    }

    /// The frame has ended and been dropped: cancels what it opened and left open (P3).
    #[inline]
    pub(crate) fn end(&mut self) {
        // Most frames open nothing.
        if self.0.is_some() {
            self.end_all();
        }
    }

    #[cold]
    fn end_all(&mut self) {
        for node in self.0.take().into_iter().flat_map(|list| *list).filter(|node| !node.is_closed()) {
            node.opener_ended();
        }
    }
}

/// The mark of a dead child that was awaited: the frame has to end.
#[derive(Debug)]
pub(crate) struct Dead {
    /// The child's failure, if it goes to the frame that awaited it.
    pub(crate) failure: Option<Fault>,
}

/// What is known of the code that runs.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) ambient: Ambient,
    pub(crate) who: Who,
    pub(crate) opened: Opened,
}

/// A frame between two runs. While it runs, the place of whatever was in the slot before.
#[derive(Debug)]
pub(crate) struct Resting(ManuallyDrop<Option<Frame>>);

/// What runs on a thread.
struct Slot {
    /// Without a destructor, which would cost a look at its state at every visit: what is put in
    /// is taken out again by the same call of [`Resting::run`], so that nothing is ever left to drop.
    frame: ManuallyDrop<Option<Frame>>,
    dead: ManuallyDrop<Option<Box<Dead>>>,
}

thread_local! {
    static CURRENT: RefCell<Slot> =
        const { RefCell::new(Slot { frame: ManuallyDrop::new(None), dead: ManuallyDrop::new(None) }) };
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
    #[cold]
    fn unwound(payload: Box<dyn Any + Send>) -> Self {
        if payload.is::<DeadChild>() { Self::DeadChild } else { Self::Panicked(Panic::new(payload)) }
    }

    pub(crate) fn into_panic(self) -> Option<Panic> {
        match self {
            Self::Panicked(panic) => Some(panic),
            Self::Done(_) | Self::DeadChild => None,
        }
    }
}

impl Resting {
    #[inline]
    pub(crate) const fn new(ambient: Ambient, who: Who, opened: Opened) -> Self {
        Self(ManuallyDrop::new(Some(Frame { ambient, who, opened })))
    }

    /// `None` once the frame has ended.
    #[inline]
    pub(crate) fn frame(&self) -> Option<&Frame> {
        self.0.as_ref()
    }

    #[inline]
    pub(crate) fn frame_mut(&mut self) -> Option<&mut Frame> {
        self.0.as_mut()
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Option<Frame> {
        self.0.take()
    }

    /// Lets go of what the frame holds.
    #[inline]
    pub(crate) fn end(&mut self) {
        if self.0.is_some() {
            *self.0 = None;
        }
    }

    /// Runs user code as this frame, and catches its panics. Gives the mark that a dead child left.
    #[inline]
    pub(crate) fn run<R>(&mut self, code: impl FnOnce() -> R) -> (Ran<R>, Option<Box<Dead>>) {
        // In place rather than through the stack: this happens at every poll of every child.
        let outer = CURRENT.with(|slot| {
            let slot = &mut *slot.borrow_mut();
            mem::swap(&mut *slot.frame, &mut *self.0);
            slot.dead.take()
        });
        let result = catch_unwind(AssertUnwindSafe(code));
        let dead = CURRENT.with(|slot| {
            let slot = &mut *slot.borrow_mut();
            mem::swap(&mut *slot.frame, &mut *self.0);
            mem::replace(&mut *slot.dead, outer)
        });
        let ran = match result {
            Ok(value) => Ran::Done(value),
            Err(payload) => Ran::unwound(payload),
        };
        (ran, dead)
    }
}

impl Drop for Resting {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

/// Looks at the frame that is running on this thread. `f` is never user code, and drops none of the user's values.
#[inline]
fn with_current<R>(f: impl FnOnce(Option<&mut Frame>, &mut Option<Box<Dead>>) -> R) -> R {
    CURRENT.with(|slot| {
        let Slot { frame, dead } = &mut *slot.borrow_mut();
        f(frame.as_mut(), dead)
    })
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
        Self { node: root, who: Who::BODY, in_future: false }
    }
}

/// The scope and the member that run here.
#[inline]
pub(crate) fn current() -> Option<Opener> {
    with_current(|frame, _| {
        let frame = frame?;
        let in_future = matches!(frame.ambient, Ambient::Plain(_)) && !frame.who.is_daemon();
        Some(Opener { node: Arc::clone(frame.ambient.node()), who: frame.who, in_future })
    })
}

/// Whether the code that runs here belongs to this scope.
pub(crate) fn is_inside(node: &Arc<Node>) -> bool {
    with_current(|frame, _| frame.is_some_and(|frame| Arc::ptr_eq(frame.ambient.node(), node)))
}

/// Whether a frame runs here, which a dead child can end.
pub(crate) fn is_any() -> bool {
    with_current(|frame, _| frame.is_some())
}

/// The running frame has opened this scope.
pub(crate) fn opened(node: &Arc<Node>) {
    let swept = with_current(|frame, _| frame.map(|frame| frame.opened.push(Arc::clone(node))));
    drop(swept);
}

/// A scope was closed here; if the running frame opened it, it need not remember.
pub(crate) fn closed() {
    while let Some(node) = with_current(|frame, _| frame.and_then(|frame| frame.opened.pop_closed())) {
        drop(node);
    }
}

/// A dead child was awaited here: marks the frame. Gives the failure back if there is no frame, or
/// if the frame has a mark already.
pub(crate) fn mark_dead(mark: Dead) -> Result<(), Dead> {
    with_current(|frame, dead| {
        if frame.is_none() || dead.is_some() {
            return Err(mark);
        }
        *dead = Some(Box::new(mark));
        Ok(())
    })
}

/// Unwinds out of a frame that will not stop polling a dead child.
pub(crate) fn unwind_dead() -> ! {
    DeadChild::unwind()
}

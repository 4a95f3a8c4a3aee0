//! Borrowed children: run inside the body's task, so they may borrow from around the block.

use std::fmt::Debug;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use sc_core::{ChildKind, Member};

use super::{Attributes, Child, ChildOutput, ChildTask, Gone, Life, OutputSlot, Source};
use crate::frame::{self, Ambient};
use crate::nursery::Nursery;
use crate::rt::{Mutex, lock};
use crate::wake::{drop_quietly, wake_all};

/// A borrowed child as the driver keeps it.
pub(crate) type BorrowedTask<'env> = Pin<Box<dyn Future<Output = ()> + Send + 'env>>;

/// What a borrowed child and its handle share.
struct Cell<T>(Mutex<State<T>>);

enum State<T> {
    Running {
        joiner: Option<Waker>,
        child: Option<Waker>,
    },
    Ended(Result<T, Gone>),
    /// Taken by the handle, or the handle is gone.
    Nobody,
}

impl<T: Send> OutputSlot<T> for Cell<T> {
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<T, Gone>> {
        if let Some(end) = self.take_end() {
            return Poll::Ready(end);
        }
        // Cloned and dropped without the lock: the waker is the user's.
        let waker = cx.waker().clone();
        let old = match &mut *lock(&self.0) {
            State::Running { joiner, .. } => joiner.replace(waker),
            State::Ended(_) | State::Nobody => Some(waker),
        };
        drop(old);
        // On another thread than the child's it may have ended in between.
        self.take_end().map_or(Poll::Pending, Poll::Ready)
    }

    fn is_finished(&self) -> bool {
        !matches!(*lock(&self.0), State::Running { .. })
    }

    fn release(&self) -> Option<Result<T, Gone>> {
        let state = mem::replace(&mut *lock(&self.0), State::Nobody);
        match state {
            State::Ended(end) => Some(end),
            State::Running { .. } | State::Nobody => None,
        }
    }

    fn nudge(&self) -> Option<Waker> {
        match &*lock(&self.0) {
            State::Running { child, .. } => child.clone(),
            State::Ended(_) | State::Nobody => None,
        }
    }
}

impl<T> Cell<T> {
    fn take_end(&self) -> Option<Result<T, Gone>> {
        let mut state = lock(&self.0);
        if !matches!(*state, State::Ended(_)) {
            return None;
        }
        match mem::replace(&mut *state, State::Nobody) {
            State::Ended(end) => Some(end),
            State::Running { .. } | State::Nobody => unreachable!("it was looked at under the same lock"),
        }
    }
}

pin_project! {
    /// Puts the output of a borrowed child where its handle finds it.
    struct Deliver<F, E, T> {
        #[pin]
        task: ChildTask<F, E>,
        cell: Arc<Cell<T>>,
        // Its waker lies in the cell.
        is_listed: bool,
    }
}

impl<F, E, T> Future for Deliver<F, E, T>
where
    F: Future,
    F::Output: ChildOutput<E, Value = T>,
    E: Debug + Send + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let Poll::Ready(end) = this.task.poll(cx) else {
            // Once: in the driver's set it has the same waker to its end.
            if !mem::replace(this.is_listed, true) {
                let waker = cx.waker().clone();
                if let State::Running { child, .. } = &mut *lock(&this.cell.0) {
                    *child = Some(waker);
                }
            }
            return Poll::Pending;
        };
        let mut state = lock(&this.cell.0);
        let (unread, wakers) = match mem::replace(&mut *state, State::Nobody) {
            State::Running { joiner, child } => {
                *state = State::Ended(end);
                (None, [joiner, child])
            }
            State::Ended(_) | State::Nobody => (Some(end), [None, None]),
        };
        drop(state);
        let [joiner, child] = wakers;
        drop(child);
        wake_all(joiner);
        if let Some(unread) = unread {
            // The handle is gone. The driver runs us as a frame of our scope.
            if let (Some(panic), Some(here)) = (drop_quietly(unread), frame::current()) {
                here.node.own_failure(Member::some_child(), panic);
            }
        }
        Poll::Ready(())
    }
}

/// Starts a borrowed child.
pub(crate) fn spawn_borrowed<'n, 'env, F, E>(
    nursery: &'n Nursery<'env, E>,
    future: F,
    attributes: Attributes,
) -> Child<'n, <F::Output as ChildOutput<E>>::Value, E>
where
    F: Future + Send + 'env,
    F::Output: ChildOutput<E>,
    <F::Output as ChildOutput<E>>::Value: Send + 'env,
    E: Debug + Send + 'static,
{
    let node = nursery.node();
    let (kind, place) = (attributes.kind, attributes.place);
    let Some((id, seen)) = node.admit_borrowed() else {
        return Child::gone(nursery, kind, place, node.refuse(future, place));
    };
    node.expect_claim(id, kind);
    let attributes = Attributes { inside: true, ..attributes };
    let admitted = attributes.admitted(node, Ambient::Plain(Arc::clone(node)), id, seen);
    start(nursery, future, Life::new(admitted), kind, place)
}

/// As [`spawn_borrowed`], of a child without attributes.
#[inline]
pub(crate) fn spawn_plain<'n, 'env, F, E>(
    nursery: &'n Nursery<'env, E>,
    future: F,
    place: &'static Location<'static>,
) -> Child<'n, <F::Output as ChildOutput<E>>::Value, E>
where
    F: Future + Send + 'env,
    F::Output: ChildOutput<E>,
    <F::Output as ChildOutput<E>>::Value: Send + 'env,
    E: Debug + Send + 'static,
{
    let node = nursery.node();
    let admitted = if node.needs_attributes() { None } else { node.admit_borrowed() };
    let Some((id, seen)) = admitted else {
        return spawn_borrowed(nursery, future, Attributes::at(place));
    };
    let kind = ChildKind::LINKED;
    node.expect_claim(id, kind);
    let life = Life::plain(Ambient::Plain(Arc::clone(node)), id, seen, place);
    start(nursery, future, life, kind, place)
}

fn start<'n, 'env, F, E>(
    nursery: &'n Nursery<'env, E>,
    future: F,
    life: Life,
    kind: ChildKind,
    place: &'static Location<'static>,
) -> Child<'n, <F::Output as ChildOutput<E>>::Value, E>
where
    F: Future + Send + 'env,
    F::Output: ChildOutput<E>,
    <F::Output as ChildOutput<E>>::Value: Send + 'env,
    E: Debug + Send + 'static,
{
    let id = life.id();
    let state = State::Running { joiner: None, child: None };
    let cell = Arc::new(Cell(Mutex::new(state)));
    let task = Deliver { task: ChildTask::of(life, future), cell: Arc::clone(&cell), is_listed: false };
    nursery.push(Box::pin(task));
    Child::new(nursery, id, kind, place, Source::Slot(cell))
}

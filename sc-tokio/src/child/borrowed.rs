//! Borrowed children: run inside the body's task, so they may borrow from around the block.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use sc_core::Member;

use super::{Attributes, Child, ChildOutput, ChildTask, Gone, OutputSlot, Source};
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
        let waker = cx.waker().clone();
        let mut state = lock(&self.0);
        let old = match std::mem::replace(&mut *state, State::Nobody) {
            State::Running { joiner, child } => {
                *state = State::Running { joiner: Some(waker), child };
                joiner
            }
            State::Ended(end) => return Poll::Ready(end),
            State::Nobody => None,
        };
        drop(state);
        drop(old);
        Poll::Pending
    }

    fn is_finished(&self) -> bool {
        !matches!(*lock(&self.0), State::Running { .. })
    }

    fn release(&self) -> Option<Result<T, Gone>> {
        let state = std::mem::replace(&mut *lock(&self.0), State::Nobody);
        match state {
            State::Ended(end) => Some(end),
            State::Running { .. } | State::Nobody => None,
        }
    }

    fn nudge(&self) -> Option<Waker> {
        match &mut *lock(&self.0) {
            State::Running { child, .. } => child.take(),
            State::Ended(_) | State::Nobody => None,
        }
    }
}

pin_project! {
    /// Puts the output of a borrowed child where its handle finds it.
    struct Deliver<F, E, T> {
        #[pin]
        task: ChildTask<F, E>,
        cell: Arc<Cell<T>>,
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
            // `nudge` takes the waker, so it is put back by whoever is polled again.
            if matches!(&*lock(&this.cell.0), State::Running { child: None, .. }) {
                let waker = cx.waker().clone();
                if let State::Running { child, .. } = &mut *lock(&this.cell.0) {
                    *child = Some(waker);
                }
            }
            return Poll::Pending;
        };
        let mut state = lock(&this.cell.0);
        let (unread, wakers) = match std::mem::replace(&mut *state, State::Nobody) {
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
        // The handle is gone. The driver runs us as a frame of our scope.
        if let (Some(panic), Some(here)) = (drop_quietly(unread), frame::current()) {
            here.node.own_failure(Member::some_child(), panic);
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
    let state = State::Running { joiner: None, child: None };
    let cell = Arc::new(Cell(Mutex::new(state)));
    let task = Deliver { task: ChildTask::new(admitted, future), cell: Arc::clone(&cell) };
    nursery.push(Box::pin(task));
    Child::new(nursery, id, kind, place, Source::Slot(cell))
}

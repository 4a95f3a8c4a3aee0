//! A child of a join, and how its end reaches the join's body.

use std::any::Any;
use std::cmp::Reverse;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use sc_core::{Cancelled, ChildId, DeadChild, Failure, FailureRecord, Member, Panic};

use crate::child::Attributes;
use crate::fault;
use crate::limit::Seat;
use crate::node::Node;
use crate::nursery::Nursery;
use crate::rt::{Mutex, lock};
use crate::wake::wake_all;

impl Attributes {
    /// A child whose failures are the joiner's business, not the scope's.
    pub(super) fn contender(place: &'static Location<'static>, seat: Option<Seat>) -> Self {
        let mut attributes = Self::at(place);
        attributes.kind.isolated = true;
        attributes.seat = seat;
        attributes
    }
}

/// How a child ended.
pub(super) struct Exit<T, E> {
    pub(super) index: usize,
    /// After the whole join was cancelled: a failure is a consequence of that (P4).
    pub(super) late: bool,
    /// `None`: it was stopped.
    pub(super) result: Option<Result<T, Failure<E>>>,
}

/// The ends that the body has not looked at. It holds what is in flight, and nothing that was looked at (P11).
pub(super) struct Exits<T, E> {
    node: Arc<Node>,
    queue: Mutex<Queue<T, E>>,
    /// Where the join was written.
    place: &'static Location<'static>,
    /// Hands a failure to the hook. A function pointer, since only where the join begins is it known that its errors can be shown.
    lose: fn(&Arc<Node>, Member, Failure<E>),
}

struct Queue<T, E> {
    exits: Vec<Exit<T, E>>,
    body: Option<Waker>,
    /// The join's future was dropped: nobody will look.
    gone: bool,
}

impl<T, E> Exits<T, E> {
    pub(super) fn of(node: &Arc<Node>, place: &'static Location<'static>) -> Arc<Self>
    where
        E: Debug + Send + 'static,
    {
        let queue = Queue { exits: Vec::new(), body: None, gone: false };
        Arc::new(Self { node: Arc::clone(node), queue: Mutex::new(queue), place, lose: lose::<E> })
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    fn push(&self, index: usize, result: Option<Result<T, Failure<E>>>) {
        let exit = Exit { index, late: self.node.is_cancelled(), result };
        let body = {
            let mut queue = lock(&self.queue);
            if queue.gone {
                drop(queue);
                return self.discard(exit);
            }
            queue.exits.push(exit);
            queue.body.take()
        };
        wake_all(body);
    }

    /// The join's future is dropped: what comes from now on goes nowhere else, and its failures to the hook (P4).
    pub(super) fn close(&self) {
        lock(&self.queue).gone = true;
    }

    /// Drops an end that nobody looks at.
    pub(super) fn discard(&self, exit: Exit<T, E>) {
        if let Some(Err(failure)) = exit.result {
            (self.lose)(&self.node, Member::child(ChildId::new(exit.index as u64)).at(self.place), failure);
        }
    }

    /// Moves what has ended into `into`, which is empty, the last to look at first: failures that are consequences come
    /// after everything else, and among equals the order is that of the input. Wakes `body` at the next end.
    pub(super) fn take(&self, into: &mut Vec<Exit<T, E>>, body: Option<Waker>) {
        let old = {
            let mut queue = lock(&self.queue);
            std::mem::swap(&mut queue.exits, into);
            std::mem::replace(&mut queue.body, body)
        };
        drop(old);
        into.sort_unstable_by_key(|exit| Reverse((exit.late, exit.index)));
    }
}

/// Hands a failure to the hook, unless it is a cancellation, which is nobody's.
pub(super) fn lose<E: Debug + Send + 'static>(node: &Arc<Node>, member: Member, failure: Failure<E>) {
    if !failure.is_cancelled() {
        crate::hook::unhandled(node.origin(), FailureRecord { member, failure: fault::erase(failure) });
    }
}

/// The duty to tell the body of one end.
struct Ticket<T, E> {
    index: usize,
    exits: Option<Arc<Exits<T, E>>>,
}

impl<T, E> Ticket<T, E> {
    fn hand_in(&mut self, result: Option<Result<T, Failure<E>>>) {
        if let Some(exits) = self.exits.take() {
            exits.push(self.index, result);
        }
    }
}

impl<T, E> Drop for Ticket<T, E> {
    fn drop(&mut self) {
        self.hand_in(None);
    }
}

pin_project! {
    /// The code of a child of a join. Its result goes to the joiner, so that no scope ever sees the error; and whichever way
    /// it ends, the body is told after the captures are dropped.
    pub(super) struct Contender<F, T, E> {
        // Before the ticket, in the order of destruction too.
        #[pin]
        code: Option<F>,
        ticket: Ticket<T, E>,
    }
}

impl<F, T, E> Contender<F, T, E> {
    pub(super) fn new(code: F, index: usize, exits: &Arc<Exits<T, E>>) -> Self {
        Self { code: Some(code), ticket: Ticket { index, exits: Some(Arc::clone(exits)) } }
    }
}

impl<F, T, E> Future for Contender<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let code = this.code.as_mut().as_pin_mut().expect("a child is not polled after its end");
            code.poll(cx)
        }));
        let result = match result {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result.map_err(Failure::Error),
            // The frame's own business.
            Err(payload) if payload.is::<DeadChild>() => resume_unwind(payload),
            Err(payload) => Err(Failure::Panic(Panic::new(payload))),
        };
        let destructor: Option<Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(|| this.code.set(None))).err();
        match (result, destructor) {
            (result, None) => this.ticket.hand_in(Some(result)),
            (Ok(value), Some(payload)) => {
                this.ticket.hand_in(Some(Err(Failure::Panic(Panic::new(payload)))));
                drop(value);
            }
            (failed, Some(payload)) => {
                this.ticket.hand_in(Some(failed));
                // The second failure of one child: the scope's, and so the hook's (P4).
                resume_unwind(payload);
            }
        }
        Poll::Ready(())
    }
}

/// How children are started. A function pointer, since only where the join was asked to be parallel is it known that its
/// futures are `'static`; here they need not be.
pub(super) struct Start<'env, F, T, E> {
    pub(super) how: fn(&Nursery<'env, Cancelled>, Contender<F, T, E>, Attributes),
    pub(super) place: &'static Location<'static>,
}

/// Starts a child in the caller's task.
pub(super) fn borrowed<'env, F, T, E>(
    nursery: &Nursery<'env, Cancelled>,
    child: Contender<F, T, E>,
    attributes: Attributes,
) where
    F: Future<Output = Result<T, E>> + Send + 'env,
    T: Send + 'env,
    E: Debug + Send + 'static,
{
    drop(crate::child::spawn_borrowed(nursery, child, attributes));
}

/// Starts a child in a task of its own.
pub(super) fn parallel<F, T, E>(nursery: &Nursery<'_, Cancelled>, child: Contender<F, T, E>, attributes: Attributes)
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Debug + Send + 'static,
{
    drop(nursery.spawn_child(child, attributes));
}

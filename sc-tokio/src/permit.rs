//! A seat under a scope's limit before there is a child to sit on it.

use std::error::Error;
use std::fmt::{self, Debug};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use sc_core::{Cancelled, Reason};

use crate::child::{Attributes, BlockingCx, Child, ChildOutput, TaskBuilder};
use crate::limit::Seat;
use crate::scope::{Scope, ScopeFn};
use crate::waiting::Waiting;

impl<E> Scope<E> {
    /// The limit of this scope, if it has one.
    pub fn limit(&self) -> Option<&crate::Limit> {
        self.node().limit()
    }

    /// Waits for a seat under the scope's [`Limit`](crate::Limit), for a child to be spawned with the permit.
    ///
    /// That is back-pressure: the producer of work waits here, so that there are never more children in memory than the
    /// limit allows, where [`spawn`](Self::spawn) would queue them. Seats are given out in the order in which they were first waited for,
    /// queued children included. Without a limit the permit is there at once.
    ///
    /// # Errors
    ///
    /// The notice of the cancellation, if the scope is cancelled before there is a seat.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, or the seat.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Cancelled, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Cancelled> {
    /// nursery!(async |n| {
    ///     for line in 0..10_000 {
    ///         let permit = n.reserve().await?; // waits while 100 are running
    ///         permit.spawn(async move { let _handled = line; });
    ///     }
    ///     Ok(())
    /// })
    /// .limit(100)
    /// .await
    /// # }
    /// ```
    pub fn reserve(&self) -> Reserve<'_, E> {
        Reserve { scope: self, seat: None, waiting: Waiting::default() }
    }

    /// A permit, if a seat is free and nobody waits for one.
    ///
    /// # Errors
    ///
    /// [`TryReserveError::Full`] if there is none, [`TryReserveError::Cancelled`] if the scope is cancelled.
    pub fn try_reserve(&self) -> Result<Permit<'_, E>, TryReserveError> {
        if let Some(cancelled) = self.cancelled_now() {
            return Err(TryReserveError::Cancelled(cancelled));
        }
        match self.limit() {
            None => Ok(Permit { scope: self, seat: None }),
            Some(limit) => {
                limit.try_take().map_or(Err(TryReserveError::Full), |seat| Ok(Permit { scope: self, seat: Some(seat) }))
            }
        }
    }

    fn cancelled_now(&self) -> Option<Cancelled> {
        self.is_cancelled().then(|| self.node().why(Reason::Requested))
    }
}

/// Why there is no permit at once; see [`Scope::try_reserve`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TryReserveError {
    /// Every seat is taken, or somebody waits for the next one.
    Full,
    /// The scope is cancelled, and takes no children.
    Cancelled(Cancelled),
}

impl fmt::Display for TryReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("every seat under the limit is taken; wait for one with `reserve().await`"),
            Self::Cancelled(cancelled) => fmt::Display::fmt(cancelled, f),
        }
    }
}

impl Error for TryReserveError {}

/// Waits for a seat; see [`Scope::reserve`].
#[must_use = "futures do nothing unless awaited"]
pub struct Reserve<'n, E> {
    scope: &'n Scope<E>,
    seat: Option<Seat>,
    waiting: Waiting,
}

impl<'n, E> Future for Reserve<'n, E> {
    type Output = Result<Permit<'n, E>, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let node = this.scope.node();
        let seated = match (&mut this.seat, node.limit()) {
            (_, None) => Poll::Ready(()),
            (Some(seat), _) => seat.poll(cx),
            (slot @ None, Some(limit)) => slot.insert(limit.queue_up(None, false)).poll(cx),
        };
        if let Some(cancelled) = this.scope.cancelled_now() {
            this.seat = None;
            return Poll::Ready(Err(cancelled));
        }
        if seated.is_ready() {
            return Poll::Ready(Ok(Permit { scope: this.scope, seat: this.seat.take() }));
        }
        this.waiting.wait(node, cx);
        // It may have been cancelled before we were on the list.
        match this.scope.cancelled_now() {
            Some(cancelled) => {
                this.seat = None;
                Poll::Ready(Err(cancelled))
            }
            None => Poll::Pending,
        }
    }
}

impl<E> Drop for Reserve<'_, E> {
    fn drop(&mut self) {
        self.waiting.leave(self.scope.node());
    }
}

impl<E> fmt::Debug for Reserve<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("scope", &self.scope.id()).finish_non_exhaustive()
    }
}

/// A seat for one child; made by [`Scope::reserve`] and [`Scope::try_reserve`].
///
/// Dropping it gives the seat back. It cannot leave the block of its scope (P2). Against `tokio::sync::SemaphorePermit`:
/// this one is passed on to the child, and comes back when the child's captures are dropped.
#[must_use = "a permit that is dropped gives its seat back"]
pub struct Permit<'n, E> {
    scope: &'n Scope<E>,
    seat: Option<Seat>,
}

impl<'n, E> Permit<'n, E> {
    fn attributes(self, place: &'static Location<'static>) -> Attributes {
        let mut attributes = Attributes::at(place);
        attributes.seat = self.seat;
        attributes
    }

    /// Begins a child with attributes; as [`Scope::task`]. A daemon takes no seat: it gives this one back.
    #[track_caller]
    pub fn task(self) -> TaskBuilder<'n, E> {
        let scope = self.scope;
        TaskBuilder::with(scope, self.attributes(Location::caller()))
    }
}

impl<'n, E: Debug + Send + 'static> Permit<'n, E> {
    /// Spawns a child on the seat; as [`Scope::spawn`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> Child<'n, <F::Output as ChildOutput<E>>::Value, E>
    where
        F: Future + Send + 'static,
        F::Output: ChildOutput<E>,
        <F::Output as ChildOutput<E>>::Value: Send + 'static,
    {
        let scope = self.scope;
        scope.spawn_child(future, self.attributes(Location::caller()))
    }

    /// Spawns a child that can spawn siblings; as [`Scope::spawn_with`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[track_caller]
    pub fn spawn_with<F, O>(self, code: F) -> Child<'n, O::Value, E>
    where
        F: for<'a> ScopeFn<&'a Scope<E>, O> + Send + 'static,
        O: ChildOutput<E> + 'static,
        O::Value: Send + 'static,
    {
        let scope = self.scope;
        scope.spawn_child_with(code, self.attributes(Location::caller()))
    }

    /// Spawns a closure on a blocking thread; as [`Scope::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[track_caller]
    pub fn spawn_blocking<F, O>(self, closure: F) -> Child<'n, O::Value, E>
    where
        F: FnOnce(&BlockingCx) -> O + Send + 'static,
        O: ChildOutput<E> + 'static,
        O::Value: Send + 'static,
    {
        let scope = self.scope;
        scope.spawn_child_blocking(closure, self.attributes(Location::caller()))
    }
}

impl<E> fmt::Debug for Permit<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("scope", &self.scope.id()).finish_non_exhaustive()
    }
}

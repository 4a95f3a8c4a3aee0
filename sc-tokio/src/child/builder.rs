//! `task()`: a child with attributes.

use std::fmt::{self, Debug};
use std::panic::Location;
use std::time::Duration;

use sc_core::Name;

use super::wrapped::wrapped;
use super::{Attributes, BlockingCx, Child, ChildOutput, Ready, Start, StartFn};
use crate::nursery::Nursery;
use crate::scope::{Scope, ScopeFn};

/// Sets a child's attributes before it is spawned; made by [`Scope::task`].
///
/// There are two axes. **Who waits for it**: the scope waits for an ordinary child and lets it hold
/// the scope open; a [`daemon`](Self::daemon) is stopped when everybody else is done. **Whose
/// failure it is**: an ordinary child's failure is its scope's; an [`isolated`](Self::isolated)
/// child's belongs to whoever joins it.
/// Beside them, how long it may take ([`timeout`](Self::timeout)), how long it may go on when it is told to stop
/// ([`grace`](Self::grace)), and whether a shutdown stops it early ([`until_shutdown`](Self::until_shutdown)).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sc_tokio::{Cancelled, nursery};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// nursery!(async |n| {
///     n.task().name("heartbeat").daemon().spawn(async {
///         loop {
///             tokio::time::sleep(Duration::from_secs(1)).await;
///         }
///     });
///     Ok(()) // the heartbeat is stopped when the body is done
/// })
/// .await
/// # }
/// ```
#[must_use = "nothing is started before one of the `spawn` methods is called"]
pub struct TaskBuilder<'n, E, N = ()> {
    scope: &'n Scope<E>,
    nursery: N,
    attributes: Attributes,
}

impl<'n, E> TaskBuilder<'n, E> {
    pub(crate) const fn with(scope: &'n Scope<E>, attributes: Attributes) -> Self {
        Self { scope, nursery: (), attributes }
    }
}

impl<'n, 'env, E> TaskBuilder<'n, E, &'n Nursery<'env, E>> {
    pub(crate) fn in_nursery(nursery: &'n Nursery<'env, E>) -> Self {
        Self { scope: nursery, nursery, attributes: Attributes::at(Location::caller()) }
    }
}

impl<'n, E, N> TaskBuilder<'n, E, N> {
    /// Names the child, for messages and reports.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.attributes.name = Some(name.into());
        self
    }

    /// The child has this much time, from its first poll (not from its spawn: time in a [`Limit`](crate::Limit)'s queue
    /// does not count). If that is not enough, it is dropped, and that is its failure.
    ///
    /// Under [`FailFast`](crate::FailFast) the scope then ends with that deadline, and the message names the child and
    /// where it was spawned; under [`Supervise`](crate::Supervise), and for an [`isolated`](Self::isolated) child, it is
    /// a [`Failure::Cancelled`](crate::Failure::Cancelled) for whoever joins the child. A deadline of the scope, or any
    /// other cancellation from above, is not a failure of the child. Zero: the code is polled once, and wins if it is
    /// ready then. Too long for the clock: none.
    ///
    /// The code runs in a scope of its own, named after the child. So [`deadline`](crate::deadline) shows this deadline
    /// there and what the code calls inherits it; what it starts with [`sc_tokio::spawn`](crate::spawn) belongs to it,
    /// is waited for by it, and is stopped with it; and an error it finds by awaiting a sibling stays with that. With a
    /// [`grace`](Self::grace), the child's own or the scope's, the code may tidy up for that long. Siblings that a
    /// [`spawn_with`](Self::spawn_with) child spawns are the scope's and do not inherit the child's deadline.
    ///
    /// Blocking code cannot be dropped. It finds its deadline, counted from when it begins, with
    /// [`BlockingCx::check`] and [`BlockingCx::remaining`], and what it then returns is how it ends: an error is its
    /// failure, a value is a value, late as it is.
    ///
    /// Against `tokio::time::timeout` around the child's future: that one gives an error to convert and to return, names
    /// nobody, and leaves what the future spawned running. Use [`sc_tokio::timeout`](crate::timeout) for a part of a child.
    ///
    /// # Panics
    ///
    /// The child panics if it is polled on a runtime without a timer.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use sc_tokio::{Cancelled, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let late: Result<(), Cancelled> = nursery!(async |n| {
    ///     n.task().name("fetch").timeout(Duration::from_secs(1)).spawn(std::future::pending::<()>());
    ///     Ok(())
    /// })
    /// .await;
    /// let late = late.unwrap_err();
    /// assert!(late.is_deadline());
    /// assert!(late.to_string().starts_with("deadline of 1s of child `fetch` ("), "{late}");
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.attributes.set_timeout(timeout);
        self
    }

    /// How long the child may go on after it was cancelled, instead of the scope's grace, shorter or longer: by the
    /// scope's cancellation, by `cancel_children`, by [`Child::cancel`](crate::Child::cancel), by its own
    /// [`timeout`](Self::timeout), by a shutdown. Then it is dropped at its next await.
    ///
    /// Scopes that the child opened have as long as the child. A daemon has this grace at every end of the scope,
    /// counted from its turn. A body cannot outlast it: the scope waits for the child all the same, so a
    /// longer one makes the scope's own end later. `Duration::MAX`: never dropped. Running blocking code is never dropped
    /// anyway; on it, a grace has no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use sc_tokio::{Cancelled, Scope, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let result: Result<(), Cancelled> = nursery!(async |n| {
    ///     n.task().name("writer").grace(Duration::from_secs(5)).spawn_with(async |n: &Scope<Cancelled>| {
    ///         n.cancelled().await;
    ///         tokio::time::sleep(Duration::from_secs(2)).await; // writes what it has; the others are gone by now
    ///     });
    ///     tokio::task::yield_now().await;
    ///     n.cancel("stop");
    ///     std::future::pending().await
    /// })
    /// .await;
    /// assert!(result.is_err());
    /// # }
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.attributes.set_grace(grace);
        self
    }

    /// The child goes on for up to `limit` after it was cancelled, by whomever, and inside it nothing of that is seen; see
    /// [`shield`](crate::shield()) for what it survives. Unlike `shield` inside the child's code it also survives the
    /// drop of the scope's future, and it runs even if it is cancelled before it began.
    ///
    /// A closure on a blocking thread cannot be dropped while it runs anyway; this has no effect on it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use sc_tokio::{Cancelled, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (paid, receipt) = tokio::sync::oneshot::channel();
    /// let result = nursery!(async |n| {
    ///     n.task().name("pay").shielded(Duration::from_secs(5)).spawn(async move {
    ///         tokio::task::yield_now().await;
    ///         let _ = paid.send("receipt");
    ///     });
    ///     n.cancel("the client has left");
    ///     Ok::<_, Cancelled>(())
    /// })
    /// .await;
    /// assert!(result.is_ok()); // nothing was cut short
    /// assert_eq!(receipt.await.unwrap(), "receipt");
    /// # }
    /// ```
    pub fn shielded(mut self, limit: Duration) -> Self {
        self.attributes.set_shielded(limit);
        self
    }

    /// The child is stopped when the drain of the program's shutdown begins, with
    /// [`Reason::Shutdown`](crate::Reason::Shutdown): an accept loop, a refresher. As with every stop from inside, that is no failure
    /// and leaves the scope open; what runs besides may finish. One that is started after that is not polled.
    ///
    /// The shutdown is that of the root which the program opened ([`Root`](crate::Root), `#[sc_tokio::main]`) on the scope's
    /// runtime; it begins with a signal, or with [`RootHandle::begin_shutdown`](crate::RootHandle::begin_shutdown). Without a root,
    /// nothing stops the child early.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Cancelled, nursery};
    ///
    /// #[sc_tokio::main(flavor = "current_thread")]
    /// async fn main() -> Result<(), Cancelled> {
    ///     nursery!(async |n| {
    ///         n.task().name("accept").until_shutdown().spawn(std::future::pending::<()>());
    ///         sc_tokio::root().begin_shutdown();
    ///         Ok(()) // and the scope ends, since nothing else runs
    ///     })
    ///     .await
    /// }
    /// ```
    pub fn until_shutdown(mut self) -> Self {
        self.attributes.stop_at_shutdown();
        self
    }

    /// The child does not hold the scope open: it is stopped when the body and all ordinary
    /// children are done, newest daemon first. A daemon has its own [`grace`](Self::grace), else the
    /// scope's, to end in, each in its turn. Not offered for borrowed children: they live in the body's task, which is over by
    /// then; stop one with [`Child::cancel`](crate::Child::cancel).
    pub fn daemon(self) -> TaskBuilder<'n, E> {
        let Self { scope, mut attributes, .. } = self;
        attributes.kind.daemon = true;
        TaskBuilder { scope, nursery: (), attributes }
    }

    /// The child's failure is not the scope's: it belongs to whoever joins the child, else to the
    /// outcome's further failures.
    pub fn isolated(mut self) -> Self {
        self.attributes.kind.isolated = true;
        self
    }
}

impl<'n, E, N> TaskBuilder<'n, E, N>
where
    E: Debug + Send + 'static,
{
    /// Spawns the child as a Tokio task of its own; see [`Scope::spawn`].
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
        let (scope, mut attributes) = (self.scope, self.attributes.spawned_at(Location::caller()));
        match attributes.take_wrapping(scope.node()) {
            None => scope.spawn_child(future, attributes),
            Some(wrapping) => scope.spawn_child(wrapped::<F, E>(wrapping, future), attributes),
        }
    }

    /// Spawns a child that can spawn siblings; see [`Scope::spawn_with`].
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
        let (scope, mut attributes) = (self.scope, self.attributes.spawned_at(Location::caller()));
        match attributes.take_wrapping(scope.node()) {
            None => scope.spawn_child_with(code, attributes),
            Some(wrapping) => scope.spawn_child(wrapped::<_, E>(wrapping, scope.with_scope(code)), attributes),
        }
    }

    /// Spawns a closure on a blocking thread; see [`Scope::spawn_blocking`].
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
        self.scope.spawn_child_blocking(closure, self.attributes.spawned_at(Location::caller()))
    }

    /// Starts a child and waits until it is ready; see [`Scope::start`].
    ///
    /// An isolated child stays isolated when it is ready.
    ///
    /// # Errors
    ///
    /// As [`Scope::start`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`Scope::start`].
    #[track_caller]
    pub fn start<V, F, Fut>(self, code: F) -> Start<'n, V, <Fut::Output as ChildOutput<E>>::Value, E>
    where
        V: Send + 'static,
        F: FnOnce(Ready<V>) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: ChildOutput<E>,
        <Fut::Output as ChildOutput<E>>::Value: Send + 'static,
    {
        self.scope.start_child(code, self.attributes.spawned_at(Location::caller()))
    }

    /// Starts a child that can spawn and start siblings; see [`Scope::start_with`].
    ///
    /// # Errors
    ///
    /// As [`Scope::start`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`Scope::start`].
    #[track_caller]
    pub fn start_with<V, F, O>(self, code: F) -> Start<'n, V, O::Value, E>
    where
        V: Send + 'static,
        F: for<'a> StartFn<&'a Scope<E>, V, O> + Send + 'static,
        O: ChildOutput<E> + 'static,
        O::Value: Send + 'static,
    {
        self.scope.start_child_with(code, self.attributes.spawned_at(Location::caller()))
    }
}

impl<'n, 'env, E> TaskBuilder<'n, E, &'n Nursery<'env, E>>
where
    E: Debug + Send + 'static,
{
    /// Spawns a child that may borrow from around the block; see [`Nursery::spawn_borrowed`].
    #[track_caller]
    pub fn spawn_borrowed<F>(self, future: F) -> Child<'n, <F::Output as ChildOutput<E>>::Value, E>
    where
        F: Future + Send + 'env,
        F::Output: ChildOutput<E>,
        <F::Output as ChildOutput<E>>::Value: Send + 'env,
    {
        let (nursery, mut attributes) = (self.nursery, self.attributes.spawned_at(Location::caller()));
        match attributes.take_wrapping(nursery.node()) {
            None => super::spawn_borrowed(nursery, future, attributes),
            Some(wrapping) => super::spawn_borrowed(nursery, wrapped::<F, E>(wrapping, future), attributes),
        }
    }
}

impl<E, N> fmt::Debug for TaskBuilder<'_, E, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder").field("attributes", &self.attributes).finish_non_exhaustive()
    }
}

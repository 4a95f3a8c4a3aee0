//! `task()`: a child with attributes.

use std::fmt::{self, Debug};
use std::panic::Location;

use sc_core::Name;

use super::{Attributes, BlockingCx, Child, ChildOutput, Ready, Start, StartFn};
use crate::nursery::Nursery;
use crate::scope::{Scope, ScopeFn};

/// Sets a child's attributes before it is spawned; made by [`Scope::task`].
///
/// There are two axes. **Who waits for it**: the scope waits for an ordinary child and lets it hold
/// the scope open; a [`daemon`](Self::daemon) is stopped when everybody else is done. **Whose
/// failure it is**: an ordinary child's failure is its scope's; an [`isolated`](Self::isolated)
/// child's belongs to whoever joins it.
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

    /// The child does not hold the scope open: it is stopped when the body and all ordinary
    /// children are done, newest daemon first. A daemon has the scope's grace to end in, each in
    /// its turn. Not offered for borrowed children: they live in the body's task, which is over by
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
        self.scope.spawn_child(future, self.attributes.spawned_at(Location::caller()))
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
        self.scope.spawn_child_with(code, self.attributes.spawned_at(Location::caller()))
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
        super::spawn_borrowed(self.nursery, future, self.attributes.spawned_at(Location::caller()))
    }
}

impl<E, N> fmt::Debug for TaskBuilder<'_, E, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder").field("attributes", &self.attributes).finish_non_exhaustive()
    }
}

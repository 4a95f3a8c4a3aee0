//! A scope that belongs to a value instead of a block: for pools, connections and actors.
//!
//! It is an ordinary scope whose body is its owner: the open phase ends when the owner lets go, or when the
//! scope is cancelled, whatever the owner does. Nobody polls it, so a task of its own carries it from the
//! start (see [`crate::reaper`]); and it is on no frame's list, so P3's frame rule leaves it alone.

mod attached;
mod builder;

use std::fmt::{self, Debug};
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use sc_core::{CancelRequest, Outcome, Reason};

pub use attached::Attached;
pub use builder::OwnedScopeBuilder;

use crate::cancellation::Cancellation;
use crate::fault;
use crate::node::Node;
use crate::open::{self, Setup};
use crate::rt::Instant;
use crate::scope::Scope;
use crate::waiting::Waiting;

/// A scope held in a struct: a pool, a connection, an actor owns the tasks it starts.
///
/// It derefs to [`Scope`], so it spawns, defers and cancels as one. Where a
/// [`nursery!`](crate::nursery) ends with its block, this one ends with its owner:
///
/// - [`shutdown`](Self::shutdown) ends it in order, waits, and gives the outcome.
/// - Dropping it cancels it with [`Reason::ScopeDropped`]. What is left of it (children in their grace,
///   finalizers) belongs to its parent, which waits for that; failures go to the failure hook
///   ([`set_failure_hook`](crate::set_failure_hook)). Dropping never blocks, and works anywhere: on a thread
///   outside the runtime, after the runtime has ended, and in a child of the scope itself.
///
/// Its parent is the runtime's root ([`new`](Self::new)), whatever scope the call is in, or the scope given to
/// [`under`](Self::under). It inherits the parent's cancellation and no deadline, and the parent does not resolve before it
/// has closed. A cancelled scope (its parent was, a child failed under [`FailFast`](crate::FailFast), somebody
/// called [`cancel`](Scope::cancel)) does not wait for its owner: children are stopped, finalizers run, it closes,
/// and spawning is refused (P7). [`failed`](Self::failed) tells the owner; the outcome waits for `shutdown`.
///
/// Unlike a `nursery!`, it does not belong to the frame that opened it, and the end of that frame leaves it
/// alone.
///
/// # Traps
///
/// - A child that holds an `Arc` of the owner keeps the scope open, as such a cycle keeps anything alive: let children
///   hold a `Weak`, take [`spawn_with`](Scope::spawn_with) for those that spawn siblings, or end with `shutdown`. The
///   same goes for a finalizer that captures the owner.
/// - A daemon of the parent must not be the owner: the parent stops its daemons once its ordinary
///   work is done, and a scope [`under`](Self::under) it is a part of that.
/// - An owner that is forgotten (`mem::forget`) never lets go: the scope ends when its parent is cancelled.
/// - Under [`Supervise`](crate::Supervise) failures that nobody joins are kept for the outcome, up to the first
///   [`FAILURES_KEPT`](crate::FAILURES_KEPT); one who wants to see them when they happen uses
///   [`policy_fn`](crate::policy_fn).
///
/// # Examples
///
/// A pool that tops itself up. The task is the pool's, so it goes on when the request that needed it
/// is dropped:
///
/// ```
/// use std::time::Duration;
/// use sc_tokio::{Cancelled, OwnedScope};
///
/// struct Pool {
///     scope: OwnedScope<Cancelled>,
/// }
///
/// impl Pool {
///     fn top_up(&self) {
///         self.scope.spawn(async { /* connect, put it into the pool */ });
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let pool = Pool { scope: OwnedScope::new() };
/// pool.top_up();
/// let outcome = pool.scope.shutdown(Duration::from_secs(5)).await;
/// assert!(outcome.is_ok());
/// # }
/// ```
///
/// A child's handle borrows the scope, and cannot be moved into another task:
///
/// ```compile_fail
/// # use sc_tokio::{Cancelled, OwnedScope};
/// # async fn f(owned: OwnedScope<Cancelled>) {
/// let child = owned.spawn(async { Ok(1) });
/// tokio::task::spawn(async move { child.await }); // `owned` does not live long enough
/// # }
/// ```
///
/// Against `tokio_util`'s `TaskTracker` with a `CancellationToken`: those two count and signal, accept tasks after
/// `close`, and lose failures; take them where tasks are to outlive their owner. Against
/// `tokio::task::JoinSet`: its drop returns while children still run. The idea is that of Swift's and Kotlin's class-bound
/// scopes (`viewModelScope`), with OTP's shutdown.
pub struct OwnedScope<E> {
    scope: Scope<E>,
    // Kept for its destructor.
    owner: Owner,
}

/// Lets a scope go when it is dropped.
#[derive(Debug)]
struct Owner {
    node: Arc<Node>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        crate::reaper::let_go(&self.node);
    }
}

impl<E> OwnedScope<E> {
    /// Opens a scope below the runtime's root, whatever scope the call is in.
    ///
    /// The root is the program's ([`Root`](crate::Root), [`main`](macro@crate::main)): when its main future returns, the scope is
    /// cancelled with [`Reason::MainReturned`] and joined. Without one, the implicit root of the runtime keeps it
    /// on its books, and the end of the runtime ends it.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[track_caller]
    pub fn new() -> Self {
        Self::open(Setup::at(Location::caller()), None)
    }

    /// Opens a scope below `parent`: cancelled when that is, and `parent` does not resolve before this has closed.
    ///
    /// So an owner that outlives the parent's body keeps the parent open until it lets go or the parent is
    /// cancelled. Under a parent that is cancelled already, the scope is born cancelled.
    ///
    /// For the same reason a scope under the block that returns it would wait for itself: the block does not return
    /// before the scope has closed, and the scope is in what it returns. Take the caller's scope, or [`new`](Self::new).
    ///
    /// The parent's deadline is not shown by [`deadline`](Scope::deadline); when it expires it cancels the
    /// parent, and with that this scope.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Cancelled, OwnedScope, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Cancelled> {
    /// nursery!(async |n| {
    ///     let cache = OwnedScope::<Cancelled>::under(n);
    ///     cache.spawn(std::future::pending::<()>());
    ///     Ok(()) // drops `cache`: its child is cancelled, and the block waits for that
    /// })
    /// .await
    /// # }
    /// ```
    #[track_caller]
    pub fn under<P>(parent: &Scope<P>) -> Self {
        Self::open(Setup::at(Location::caller()), Some(Arc::clone(parent.node())))
    }

    /// Begins a scope with a name, a policy, a grace of its own ..
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use sc_tokio::{Cancelled, OwnedScope, Supervise};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let scope: OwnedScope<Cancelled> =
    ///     OwnedScope::builder().named("sessions").policy(Supervise).grace(Duration::from_secs(1)).open();
    /// assert_eq!(scope.name(), Some("sessions"));
    /// # }
    /// ```
    #[track_caller]
    pub fn builder() -> OwnedScopeBuilder<E> {
        OwnedScopeBuilder::new(Location::caller())
    }

    fn open(setup: Setup, parent: Option<Arc<Node>>) -> Self {
        let node = open::open_owned(setup, parent);
        Self { scope: Scope::of(Arc::clone(&node)), owner: Owner { node } }
    }

    /// Resolves when the scope is cancelled, for whatever reason: a child's failure, the parent, its deadline,
    /// a call of [`cancel`](Scope::cancel). Never otherwise.
    ///
    /// The same as [`cancelled`](Scope::cancelled), under the name its owner looks for: a supervising task that
    /// waits for this opens the scope's successor. [`Cancelled::reason`](crate::Cancelled::reason) says which it was;
    /// the error of a failed child is in the outcome of [`shutdown`](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost by dropping it. Any number of tasks may wait.
    pub fn failed(&self) -> Cancellation<'_> {
        self.cancelled()
    }

    /// Ends the scope in order: cancels it ([`Reason::Requested`], "shut down"), gives children and daemons until `grace`
    /// is over to end by themselves, drops the rest, runs the finalizers, and gives the outcome.
    ///
    /// `grace` stands in for the scope's own, and scopes inside without one of their own share it. Children that
    /// return `Ok` in time leave the outcome [`Ok`](crate::OutcomeKind::Ok). Those that had to be dropped make it
    /// [`Cancelled`](crate::OutcomeKind::Cancelled), and the first 64 of them that were ever polled are named in
    /// [`Report::stragglers`](crate::Report::stragglers). What cannot be dropped (running blocking code) is
    /// waited for.
    ///
    /// A scope that was cancelled before keeps its reason, and its failures are in the outcome, the primary one
    /// first; if it is still in its grace, that ends when `grace` does at the latest. One that has closed
    /// already gives its outcome at once.
    ///
    /// On a runtime without a timer no grace can be measured: the children are dropped at once and the finalizers
    /// unrun, which is reported, as when the runtime ends. A grace of zero needs no timer.
    ///
    /// The call itself asks for the end; polling only waits. A child of the scope that waits for it waits for
    /// itself, until it is dropped at the end of the grace.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the scope: the parent waits for what is left, and failures go to the hook.
    pub fn shutdown(self, grace: Duration) -> Shutdown<E> {
        let at = Instant::now().checked_add(grace).map(Instant::into_std);
        self.owner.node.stop_by(CancelRequest::with_cause(Reason::Requested, "shut down".into()), at);
        Shutdown { owned: self, waiting: Waiting::default() }
    }

    /// Puts the scope together with a value that its children work for, such as the stream they produce:
    /// whoever drops the one drops the other.
    pub fn attach<V>(self, value: V) -> Attached<V> {
        Attached::new(self.owner, value)
    }
}

impl<E> Default for OwnedScope<E> {
    /// As [`OwnedScope::new`].
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Deref for OwnedScope<E> {
    type Target = Scope<E>;

    fn deref(&self) -> &Scope<E> {
        &self.scope
    }
}

impl<E> Debug for OwnedScope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedScope").field(&self.scope).finish()
    }
}

/// Waits until a scope that is shut down has closed; see [`OwnedScope::shutdown`].
#[must_use = "the outcome may hold failures that nobody else is told; dropping it does not wait"]
pub struct Shutdown<E> {
    owned: OwnedScope<E>,
    waiting: Waiting,
}

impl<E: Send + 'static> Future for Shutdown<E> {
    type Output = Outcome<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<(), E>> {
        let this = self.get_mut();
        let node = &this.owned.owner.node;
        if !node.is_closed() {
            this.waiting.wait(node, cx);
            // It may have closed before we were on the list.
            if !node.is_closed() {
                return Poll::Pending;
            }
        }
        Poll::Ready(node.finish(Some(())).map_err(fault::restore_error))
    }
}

impl<E> Unpin for Shutdown<E> {}

impl<E> Drop for Shutdown<E> {
    fn drop(&mut self) {
        self.waiting.leave(&self.owned.owner.node);
    }
}

impl<E> Debug for Shutdown<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shutdown").field(&self.owned.scope).finish()
    }
}

//! The handle through which children are spawned.

use std::error::Error;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use sc_core::{CancelRequest, ChildKind, Deadline, Reason, ScopeEnd, ScopeId};

use crate::cancellation::{Cancellation, Canceller};
use crate::child::{
    Admitted, Attributes, BlockingCx, Child, ChildOutput, ChildTask, FinalizerOutput, Gone, Life, TaskBuilder,
};
use crate::frame::Ambient;
use crate::hold::Hold;
use crate::node::{Node, REFUSING};
use crate::rt::{self, CancellationToken, Instant, JoinHandle};
use crate::values;

/// A scope: spawns children, cancels them, knows its deadline.
///
/// The body of a [`nursery!`](crate::nursery) gets a [`Nursery`](crate::Nursery), which derefs to
/// this; functions that spawn into their caller's scope take a `&Scope<E>`:
///
/// ```
/// use sc_tokio::{Cancelled, Scope, nursery};
///
/// fn warm_up(scope: &Scope<Cancelled>) {
///     scope.spawn(async { /* fill a cache */ });
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// nursery!(async |n| {
///     warm_up(n);
///     Ok(())
/// })
/// .await // waits for the warm-up
/// # }
/// ```
///
/// There is no `'static` handle to a scope, and no way to clone one: whoever can spawn is inside. A scope that lives in a
/// struct is an [`OwnedScope`](crate::OwnedScope).
///
/// ```compile_fail
/// # use sc_tokio::{Cancelled, scope};
/// # async fn f() -> Result<(), Cancelled> {
/// let escaped = scope(async |s| Ok::<_, Cancelled>(s)).await?; // the reference is the closure's
/// # Ok(())
/// # }
/// ```
///
/// Against `tokio_util`'s `TaskTracker`: that one is cloned freely and accepts tasks after `close`;
/// it counts, and neither cancels nor collects failures. Use it where only counting is wanted.
pub struct Scope<E> {
    node: Arc<Node>,
    error: PhantomData<fn() -> E>,
}

/// A closure over a borrowed handle that returns a `Send` future, as `async move |n: &Scope<E>| ..`
/// is one. Sealed: implemented for every closure of that shape.
pub trait ScopeFn<A, O>: FnOnce(A) -> Self::Future {
    /// What the closure returns.
    type Future: Future<Output = O> + Send;
}

impl<A, O, F, Fut> ScopeFn<A, O> for F
where
    F: FnOnce(A) -> Fut,
    Fut: Future<Output = O> + Send,
{
    type Future = Fut;
}

impl<E> Scope<E> {
    pub(crate) const fn of(node: Arc<Node>) -> Self {
        Self { node, error: PhantomData }
    }

    pub(crate) const fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The scope's number, unique in the process.
    pub fn id(&self) -> ScopeId {
        self.node.id()
    }

    /// The scope's name, if it was given one.
    pub fn name(&self) -> Option<&str> {
        self.node.origin().name()
    }

    /// How many children are alive, daemons included. Other threads may change it at any time.
    pub fn len(&self) -> usize {
        self.node.living_children()
    }

    /// Whether no child is alive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // Cancellation.

    /// Cancels the whole scope, the body included, which is dropped at its next await.
    ///
    /// `why` is text or an error value, found again with [`Cancelled::cause`](crate::Cancelled::cause). The first
    /// cancellation wins. After the scope's grace (by default at once), children are dropped at
    /// their next await; the scope's result is an error if that cut anything short.
    pub fn cancel(&self, why: impl Into<Box<dyn Error + Send + Sync>>) {
        self.node.cancel(CancelRequest::with_cause(Reason::Requested, why.into()));
    }

    /// Cancels the children that are present, once. The scope stays open, the body goes on, new
    /// children may be spawned, and an `Ok` of the body stays the result.
    pub fn cancel_children(&self, why: impl Into<Box<dyn Error + Send + Sync>>) {
        self.node.cancel_present(CancelRequest::with_cause(Reason::Requested, why.into()));
    }

    /// A `'static` stop button for this scope.
    pub fn canceller(&self) -> Canceller {
        Canceller::new(Arc::clone(&self.node))
    }

    /// Whether the scope has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Resolves when the scope is cancelled, with the notice.
    ///
    /// Meant for children that tidy up during the scope's grace; with a grace of zero nobody is
    /// polled long enough to see it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost by dropping it.
    pub fn cancelled(&self) -> Cancellation<'_> {
        Cancellation::new(&self.node)
    }

    /// A token for code that takes one: cancelled with the scope, and when it has ended. Cancelling the token does
    /// not cancel the scope.
    pub fn token(&self) -> CancellationToken {
        self.node.token()
    }

    // Time.

    /// The deadline that holds here: the minimum over this and the enclosing scopes.
    pub fn deadline(&self) -> Option<Instant> {
        self.node.books().scope.deadline().map(|deadline| Instant::from_std(deadline.at()))
    }

    /// What is left until the deadline; `None` without one, zero once it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.node.remaining()
    }

    /// Moves the scope's own deadline, later or earlier, also while the scope is parked; `None`
    /// takes it away. What the enclosing scopes allow is not extended by it.
    ///
    /// # Errors
    ///
    /// [`DeadlineExpired`] if the deadline that holds has passed already, or the scope is cancelled.
    ///
    /// # Panics
    ///
    /// The scope's own future does, when it has to wait for the deadline on a runtime without a timer.
    pub fn set_deadline(&self, at: impl Into<Option<Instant>>) -> Result<(), DeadlineExpired> {
        let now = Instant::now();
        let at = at.into();
        let deadline = at.map(|at| {
            let budget = at.checked_duration_since(now);
            Deadline::new(at.into_std(), self.node.origin().clone(), budget)
        });
        let mut moved = false;
        self.node.input(|books| {
            let (accepted, effects) = books.scope.set_deadline(deadline, now.into_std());
            moved = accepted;
            effects
        });
        if at.is_some_and(|at| at <= now) {
            self.node.tick();
        }
        if moved { Ok(()) } else { Err(DeadlineExpired(())) }
    }
}

impl<E: Debug + Send + 'static> Scope<E> {
    /// Spawns a child as a Tokio task of its own, in parallel.
    ///
    /// The future returns `Result<T, E>`, `()`, or never ([`ChildOutput`]). The scope does not
    /// resolve before the child has ended and its captures are dropped; the child's failure is
    /// judged by the scope's policy. In a cancelled scope the child is refused: dropped without
    /// being polled, and its handle finds it cancelled.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Examples
    ///
    /// A child with another error type converts it:
    ///
    /// ```
    /// # use sc_tokio::nursery;
    /// # async fn read() -> Result<u8, std::io::Error> { Ok(1) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyhow::Result<()> {
    /// let byte = nursery!(async |n| -> anyhow::Result<u8> {
    ///     let byte = n.spawn(async { Ok(read().await?) });
    ///     Ok(byte.await)
    /// })
    /// .await?;
    /// # assert_eq!(byte, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A child is `'static`; one that borrows is [`spawn_borrowed`](crate::Nursery::spawn_borrowed)'s:
    ///
    /// ```compile_fail
    /// # use sc_tokio::{Cancelled, nursery};
    /// # async fn f() -> Result<(), Cancelled> {
    /// nursery!(async |n| {
    ///     let local = String::new();
    ///     n.spawn(async { Ok(local.len()) }); // may outlive `local`
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Child<'_, <F::Output as ChildOutput<E>>::Value, E>
    where
        F: Future + Send + 'static,
        F::Output: ChildOutput<E>,
        <F::Output as ChildOutput<E>>::Value: Send + 'static,
    {
        let place = Location::caller();
        let Some(life) = self.node.admit_plain(place) else {
            return self.spawn_child(future, Attributes::at(place));
        };
        let id = life.id();
        Child::task(self, id, ChildKind::LINKED, place, rt::spawn(ChildTask::<F, E>::of(life, future)))
    }

    /// Spawns a child that can spawn siblings: it gets the scope by reference.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Examples
    ///
    /// The type of the parameter has to be written:
    ///
    /// ```
    /// use sc_tokio::{Cancelled, Scope, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Cancelled> {
    /// nursery!(async |n| {
    ///     n.spawn_with(async |n: &Scope<Cancelled>| {
    ///         n.spawn(async { /* a sibling */ });
    ///     });
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    ///
    /// The reference cannot leave the child:
    ///
    /// ```compile_fail
    /// # use sc_tokio::{Cancelled, Scope, nursery};
    /// # async fn f() -> Result<(), Cancelled> {
    /// nursery!(async |n| {
    ///     let escaped = n.spawn_with(async |n: &Scope<Cancelled>| Ok::<_, Cancelled>(n));
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_with<F, O>(&self, code: F) -> Child<'_, O::Value, E>
    where
        F: for<'a> ScopeFn<&'a Self, O> + Send + 'static,
        O: ChildOutput<E> + 'static,
        O::Value: Send + 'static,
    {
        self.spawn_child_with(code, Attributes::at(Location::caller()))
    }

    /// Spawns a closure on a blocking thread.
    ///
    /// Blocking code cannot be stopped from outside: look at the [`BlockingCx`] it gets. One that
    /// runs is waited for, and named if that takes long; one that still waits for a thread when
    /// the scope is cancelled is dropped at once.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[track_caller]
    pub fn spawn_blocking<F, O>(&self, closure: F) -> Child<'_, O::Value, E>
    where
        F: FnOnce(&BlockingCx) -> O + Send + 'static,
        O: ChildOutput<E> + 'static,
        O::Value: Send + 'static,
    {
        self.spawn_child_blocking(closure, Attributes::at(Location::caller()))
    }

    /// Begins a child with attributes: a name, a deadline and a grace of its own, daemon, isolated, until shutdown.
    pub fn task(&self) -> TaskBuilder<'_, E> {
        TaskBuilder::with(self, Attributes::at(Location::caller()))
    }

    /// Registers a finalizer: it runs when every child has ended, on every exit (value, error, panic,
    /// cancellation, drop), last registered first, and is told how the scope ended.
    ///
    /// It is shielded: the scope's cancellation and deadline do not reach it; it has the time of
    /// `finalizer_timeout` (5 s by default). An error or panic of it is a failure of the scope, but masks no
    /// earlier one and keeps no other finalizer from running. Only the end of the runtime drops
    /// finalizers unrun. (An [`OwnedScope`](crate::OwnedScope) can be given one when it has closed: that runs at once, as a
    /// task of the root's.)
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Cancelled, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Cancelled> {
    /// nursery!(async |n| {
    ///     n.defer(async |end| {
    ///         if end.is_ok() { /* commit */ } else { /* roll back */ }
    ///     });
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    #[track_caller]
    pub fn defer<F, Fut>(&self, finalizer: F)
    where
        F: FnOnce(ScopeEnd) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: FinalizerOutput<E>,
    {
        crate::finalizer::register::<F, Fut, E>(&self.node, finalizer, Location::caller());
    }

    pub(crate) fn spawn_child<F>(
        &self,
        future: F,
        attributes: Attributes,
    ) -> Child<'_, <F::Output as ChildOutput<E>>::Value, E>
    where
        F: Future + Send + 'static,
        F::Output: ChildOutput<E>,
        <F::Output as ChildOutput<E>>::Value: Send + 'static,
    {
        let (kind, place) = (attributes.kind, attributes.place);
        let Some((hold, id, seen)) = self.node.admit(&attributes) else {
            return Child::gone(self, kind, place, self.node.refuse(future, place));
        };
        let task = if kind.daemon {
            drop(hold);
            start_task(future, attributes.admitted(&self.node, Ambient::Plain(Arc::clone(&self.node)), id, seen))
        } else {
            start_task(future, attributes.admitted(&self.node, Ambient::Counted(hold), id, seen))
        };
        Child::task(self, id, kind, place, task)
    }

    pub(crate) fn spawn_child_with<F, O>(&self, code: F, attributes: Attributes) -> Child<'_, O::Value, E>
    where
        F: for<'a> ScopeFn<&'a Self, O> + Send + 'static,
        O: ChildOutput<E> + 'static,
        O::Value: Send + 'static,
    {
        self.spawn_child(self.with_scope(code), attributes)
    }

    /// The code of a child that gets the scope by reference.
    pub(crate) fn with_scope<F, O>(&self, code: F) -> impl Future<Output = O> + Send + 'static + use<F, O, E>
    where
        F: for<'a> ScopeFn<&'a Self, O> + Send + 'static,
        O: 'static,
    {
        let scope = Self::of(Arc::clone(&self.node));
        async move {
            let scope = scope;
            code(&scope).await
        }
    }

    pub(crate) fn spawn_child_blocking<F, O>(&self, closure: F, attributes: Attributes) -> Child<'_, O::Value, E>
    where
        F: FnOnce(&BlockingCx) -> O + Send + 'static,
        O: ChildOutput<E> + 'static,
        O::Value: Send + 'static,
    {
        let (kind, place) = (attributes.kind, attributes.place);
        let Some((hold, id, seen)) = self.node.admit(&attributes) else {
            return Child::gone(self, kind, place, self.node.refuse(closure, place));
        };
        if kind.daemon {
            drop(hold);
            crate::child::spawn_blocking(
                self,
                closure,
                attributes.admitted(&self.node, Ambient::Plain(Arc::clone(&self.node)), id, seen),
            )
        } else {
            crate::child::spawn_blocking(
                self,
                closure,
                attributes.admitted(&self.node, Ambient::Counted(hold), id, seen),
            )
        }
    }
}

/// Starts the task of a parallel child.
#[track_caller]
pub(crate) fn start_task<F, E>(
    future: F,
    admitted: Admitted,
) -> JoinHandle<Result<<F::Output as ChildOutput<E>>::Value, Gone>>
where
    F: Future + Send + 'static,
    F::Output: ChildOutput<E>,
    <F::Output as ChildOutput<E>>::Value: Send + 'static,
    E: Debug + Send + 'static,
{
    rt::spawn(ChildTask::<F, E>::new(admitted, future))
}

impl Node {
    /// Admits a child that has nothing but its code, as most have: the way for all, without what the others need.
    /// `None` if it is to take that one, in which it may be refused.
    #[inline]
    fn admit_plain(&self, place: &'static Location<'static>) -> Option<Life> {
        if self.needs_attributes() {
            return None;
        }
        let hold = self.hold()?;
        let seen = self.word();
        if seen & REFUSING != 0 {
            return None;
        }
        let id = self.next_child();
        self.expect_claim(id, ChildKind::LINKED);
        Some(Life::plain(Ambient::Counted(hold), id, seen, place))
    }

    /// Whether even a child without attributes of its own has some.
    #[inline]
    pub(crate) fn needs_attributes(&self) -> bool {
        self.limit().is_some() || values::is_in_use()
    }

    /// Admits a child. The hold that is returned keeps a daemon's scope from closing meanwhile.
    #[inline]
    pub(crate) fn admit(&self, attributes: &Attributes) -> Option<(Hold, u64, u64)> {
        let kind = attributes.kind;
        let hold = self.hold()?;
        let seen = self.word();
        if seen & REFUSING != 0 {
            return None;
        }
        let id = self.next_child();
        if kind.daemon {
            let mut books = self.books();
            if !books.scope.admit_daemon(sc_core::ChildId::new(id), attributes.grace()) {
                // It has a number, and is no child.
                books.uncounted += 1;
                return None;
            }
        }
        self.expect_claim(id, kind);
        Some((hold, id, seen))
    }

    /// The child is given a handle; where failures may belong to handles, that is written down.
    #[inline]
    pub(crate) fn expect_claim(&self, id: u64, kind: ChildKind) {
        if self.handles_matter(kind) {
            self.expect_claim_of(id);
        }
    }

    #[cold]
    fn expect_claim_of(&self, id: u64) {
        self.books().scope.expect_claim(sc_core::ChildId::new(id));
    }
}

impl<E> fmt::Debug for Scope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each looks into the books for itself.
        let (phase, len) = (self.node.phase(), self.len());
        f.debug_struct("Scope")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("phase", &phase)
            .field("len", &len)
            .finish()
    }
}

/// A deadline could not be moved, since it has passed or its scope is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineExpired(());

impl fmt::Display for DeadlineExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed, or its scope is cancelled, and cannot be moved any more")
    }
}

impl Error for DeadlineExpired {}

/// The token, the present children: what of a node's state is asked for through `Scope`.
impl Node {
    pub(crate) fn token(&self) -> CancellationToken {
        let (token, cancelled) = {
            let mut books = self.books();
            let cancelled = books.scope.cancelled().is_some() || books.scope.phase() == sc_core::Phase::Closed;
            (books.token.get_or_insert_with(CancellationToken::new).clone(), cancelled)
        };
        if cancelled {
            // Made too late for the cancellation to find it; nobody waits for it yet.
            token.cancel();
        }
        token.child_token()
    }

    pub(crate) fn living_children(&self) -> usize {
        let books = self.books();
        let others = usize::from(books.driver_hold.is_some()) + books.nested.holds() + books.keepers as usize;
        self.holds().saturating_sub(others) + books.scope.daemons() + self.borrowed()
    }
}

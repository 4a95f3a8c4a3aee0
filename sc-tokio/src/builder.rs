//! What a nursery is before it runs: a builder.

use std::fmt::{self, Debug};
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use sc_core::{Cancelled, Failure, Name, Outcome, Policy, ScopeError};

use crate::drive::{Ended, Opening, drive};
use crate::limit::Limit;
use crate::nursery::Nursery;
use crate::open::{Options, Setup};
use crate::rt::Instant;
use crate::scope::Scope;

/// Turns cancellations into the scope's error with `From<Cancelled>`; the default.
#[derive(Debug, Clone, Copy)]
pub struct ViaFrom(());

/// Turns cancellations into the scope's error with a closure; see
/// [`NurseryBuilder::map_cancelled`].
pub struct Mapped<M>(Option<M>);

impl<M> Debug for Mapped<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mapped")
    }
}

/// A scope that has not begun: set it up, then await it. Made by [`nursery!`](crate::nursery) and
/// [`scope`].
///
/// Nothing runs before the first poll, and the enclosing scope is chosen then. Awaiting gives
/// `Result<T, E>`: the body's value, or the error of the first failure that the policy does not
/// continue past, or the error made from the cancellation. If that failure is a panic, it goes
/// on unwinding here, after everything in the scope has ended. [`outcome`](Self::outcome) gives all
/// there is to know and never unwinds.
///
/// It is not a future but an [`IntoFuture`], so that an adapter which would *drop* the scope (a
/// `timeout` from a library) is not picked by accident where a method of this type is meant. Where
/// a future is needed, call `.into_future()`.
///
/// # Cancel safety
///
/// Dropping the future cancels the scope; the nearest enclosing scope then waits for what is left
/// of it, the finalizers included (P3).
#[must_use = "a scope does nothing unless awaited"]
pub struct NurseryBuilder<F, T, E, M = ViaFrom> {
    block: F,
    setup: Setup,
    map: M,
    types: PhantomData<fn() -> (T, E)>,
}

impl<F, T, E> NurseryBuilder<F, T, E> {
    #[track_caller]
    pub(crate) fn new(block: F) -> Self {
        let setup = Setup::at(Location::caller());
        Self { block, setup, map: ViaFrom(()), types: PhantomData }
    }

    /// Names the scope after its function, which costs nothing.
    pub(crate) fn named_after(mut self, function: &'static &'static str) -> Self {
        self.setup.name = Some(function);
        self
    }

    /// Turns a cancellation into the scope's error with a closure, for error types that cannot get
    /// `From<Cancelled>` (those of another crate).
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::nursery;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let result = nursery!(async |n| -> Result<(), std::fmt::Error> {
    ///     n.cancel("stop");
    ///     std::future::pending().await
    /// })
    /// .map_cancelled(|_| std::fmt::Error)
    /// .await;
    /// assert_eq!(result, Err(std::fmt::Error));
    /// # }
    /// ```
    pub fn map_cancelled<M>(self, map: M) -> NurseryBuilder<F, T, E, Mapped<M>>
    where
        M: FnOnce(Cancelled) -> E,
    {
        let Self { block, setup, types, .. } = self;
        NurseryBuilder { block, setup, map: Mapped(Some(map)), types }
    }
}

impl<F, T, E, M> NurseryBuilder<F, T, E, M> {
    pub(crate) fn into_parts(self) -> (Opening<F>, M) {
        (Opening::new(self.setup, self.block), self.map)
    }

    /// Says where it was written, if that is not where it is made.
    pub(crate) fn opened_at(mut self, place: &'static Location<'static>) -> Self {
        self.setup.place = place;
        self
    }

    /// Makes this a shield.
    pub(crate) fn shielding(mut self, limit: Duration) -> Self {
        self.options().shield = Some(limit);
        self
    }

    /// Makes this the program's root.
    pub(crate) fn rooted(mut self) -> Self {
        self.options().root = true;
        self
    }

    fn options(&mut self) -> &mut Options {
        self.setup.options.get_or_insert_default()
    }

    /// Names the scope, for messages, reports and [`Cancelled::origin`].
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.options().name = Some(name.into());
        self
    }

    /// Decides what a child's failure means: [`FailFast`](crate::FailFast) (the default),
    /// [`Supervise`](crate::Supervise), or a [`policy_fn`](crate::policy_fn).
    ///
    /// The builder keeps its type, so that a policy can be chosen at run time:
    /// `if strict { scope } else { scope.policy(Supervise) }`.
    pub fn policy<P>(mut self, policy: P) -> Self
    where
        P: Policy<E>,
        E: Debug + Send + 'static,
    {
        self.options().set_policy(policy);
        self
    }

    /// Cancels the scope when this much time has passed since its first poll.
    ///
    /// Every callee inherits the instant: a scope inside can be shorter, never longer. Given
    /// together with [`deadline`](Self::deadline), the earlier counts. A time-out of zero is a
    /// deadline that has passed: children are refused, the body is polled once, and a body that is
    /// ready then wins. One too long for the clock is none.
    ///
    /// Against `tokio::time::timeout`: that one drops the future, and leaves tasks it started running.
    ///
    /// # Panics
    ///
    /// When polled on a runtime without a timer, unless everything is done at the first poll.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options().timeout = Some(timeout);
        self
    }

    /// Cancels the scope at this instant; see [`timeout`](Self::timeout).
    ///
    /// # Panics
    ///
    /// As [`timeout`](Self::timeout).
    pub fn deadline(mut self, at: Instant) -> Self {
        self.options().deadline = Some(at);
        self
    }

    /// How long children and body may go on after the scope was cancelled, to tidy up; then they
    /// are dropped at their next await. Default: as long as the enclosing scope's cancellation
    /// allows, else not at all. One too long for the clock never ends: who does not leave is waited for.
    /// A child can have its own: [`TaskBuilder::grace`](crate::TaskBuilder::grace).
    ///
    /// # Panics
    ///
    /// When there is a grace to wait for, on a runtime without a timer. (If the future is dropped there,
    /// the grace is over at once.)
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options().grace = Some(grace);
        self
    }

    /// How many children run at once: a number, or a [`Limit`] that several scopes share.
    ///
    /// [`spawn`](crate::Scope::spawn) over the limit queues the child; [`reserve`](crate::Scope::reserve) waits for a
    /// seat before there is a child to keep. What counts, and how children that wait for each other do not
    /// deadlock, is told at [`Limit`].
    ///
    /// # Panics
    ///
    /// If it is zero; see [`Limit::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Cancelled, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Cancelled> {
    /// nursery!(async |n| {
    ///     for page in 0..100 {
    ///         n.spawn(async move { let _fetched = page; }); // eight at a time
    ///     }
    ///     Ok(())
    /// })
    /// .limit(8)
    /// .await
    /// # }
    /// ```
    #[track_caller]
    pub fn limit(mut self, limit: impl Into<Limit>) -> Self {
        self.options().limit = Some(limit.into());
        self
    }

    /// How long each finalizer may take. Default: 5 s. On a runtime without a timer, or with one too long
    /// for the clock: without limit.
    pub fn finalizer_timeout(mut self, timeout: Duration) -> Self {
        self.options().finalizer_timeout = Some(timeout);
        self
    }

    /// After how long a drain is worth a warning that names whom it waits for (and a closing that
    /// waits for ordinary work is worth a message at info level). Default: 10 s, and again each 10 s.
    /// On a runtime without a timer, or if too long for the clock: never.
    pub fn warn_after(mut self, patience: Duration) -> Self {
        self.options().warn_after = Some(patience);
        self
    }

    /// Cancels the scope when `signal` resolves, with [`Reason::External`](crate::Reason::External).
    ///
    /// The future is polled by the scope's own: first before the body, and until the last child has
    /// ended. One that is ready at once makes a scope that is born cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Cancelled, Reason, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// stop.send(()).unwrap();
    /// let result: Result<(), Cancelled> = nursery!(async |_n| std::future::pending().await)
    ///     .cancel_on(async { let _ = stopped.await; })
    ///     .await;
    /// assert_eq!(result.unwrap_err().reason(), Reason::External);
    /// # }
    /// ```
    pub fn cancel_on(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.options().cancel_on = Some(Box::pin(signal));
        self
    }
}

impl<F, T, E, M> NurseryBuilder<F, T, E, M>
where
    F: Future<Output = Ended<T, E>>,
{
    /// Gives everything there is to know instead of a result, and never unwinds: a panic is one of
    /// the failures. Needs no conversion from [`Cancelled`].
    pub fn outcome(mut self) -> OutcomeFuture<F, T, E> {
        self.setup.reports = true;
        OutcomeFuture { opening: Opening::new(self.setup, self.block), types: PhantomData }
    }
}

impl<F, T, E> IntoFuture for NurseryBuilder<F, T, E>
where
    F: Future<Output = Ended<T, E>>,
    E: ScopeError + Debug + Send + 'static,
{
    type Output = Result<T, E>;
    type IntoFuture = NurseryFuture<F, T, E, ViaFrom>;

    fn into_future(self) -> Self::IntoFuture {
        NurseryFuture { opening: Opening::new(self.setup, self.block), map: self.map, types: PhantomData }
    }
}

impl<F, T, E, M> IntoFuture for NurseryBuilder<F, T, E, Mapped<M>>
where
    F: Future<Output = Ended<T, E>>,
    E: Debug + Send + 'static,
    M: FnOnce(Cancelled) -> E,
{
    type Output = Result<T, E>;
    type IntoFuture = NurseryFuture<F, T, E, Mapped<M>>;

    fn into_future(self) -> Self::IntoFuture {
        NurseryFuture { opening: Opening::new(self.setup, self.block), map: self.map, types: PhantomData }
    }
}

impl<F, T, E, M> Debug for NurseryBuilder<F, T, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NurseryBuilder").field("place", &format_args!("{}", self.setup.place)).finish_non_exhaustive()
    }
}

/// Makes the scope's error from a cancellation. Sealed by being private to this module's types.
pub trait MapCancelled<E> {
    #[doc(hidden)]
    fn map(&mut self, cancelled: Cancelled) -> E;
}

impl<E: ScopeError> MapCancelled<E> for ViaFrom {
    fn map(&mut self, cancelled: Cancelled) -> E {
        E::from_cancelled(cancelled)
    }
}

impl<E, M: FnOnce(Cancelled) -> E> MapCancelled<E> for Mapped<M> {
    fn map(&mut self, cancelled: Cancelled) -> E {
        let map = self.0.take().expect("a future is not polled after it resolved");
        map(cancelled)
    }
}

pin_project! {
    /// The future of a scope, which gives its result.
    #[must_use = "futures do nothing unless awaited"]
    pub struct NurseryFuture<F, T, E, M> {
        #[pin]
        opening: Opening<F>,
        map: M,
        types: PhantomData<fn() -> (T, E)>,
    }
}

impl<F, T, E, M> Future for NurseryFuture<F, T, E, M>
where
    F: Future<Output = Ended<T, E>>,
    E: Debug + Send + 'static,
    M: MapCancelled<E>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let this = self.project();
        let ended = std::task::ready!(this.opening.poll(cx));
        Poll::Ready(result(ended, this.map))
    }
}

/// The result of a scope that has ended.
pub(crate) fn result<T, E, M>(ended: Ended<T, E>, map: &mut M) -> Result<T, E>
where
    E: Debug + Send + 'static,
    M: MapCancelled<E>,
{
    match ended.into_result() {
        Ok(value) => Ok(value),
        Err(Failure::Error(error)) => Err(error),
        Err(Failure::Panic(panic)) => panic.resume(),
        Err(Failure::Cancelled(cancelled)) => Err(map.map(cancelled)),
        Err(_) => unreachable!("a scope records the failures it owns as themselves"),
    }
}

impl<F, T, E, M> Debug for NurseryFuture<F, T, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NurseryFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of a scope, which gives its whole outcome; see [`NurseryBuilder::outcome`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct OutcomeFuture<F, T, E> {
        #[pin]
        opening: Opening<F>,
        types: PhantomData<fn() -> (T, E)>,
    }
}

impl<F, T, E> Future for OutcomeFuture<F, T, E>
where
    F: Future<Output = Ended<T, E>>,
{
    type Output = Outcome<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<T, E>> {
        self.project().opening.poll(cx).map(Ended::into_outcome)
    }
}

impl<F, T, E> Debug for OutcomeFuture<F, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutcomeFuture").finish_non_exhaustive()
    }
}

/// Opens a scope without a macro: like [`nursery!`](crate::nursery), but without borrowed children.
///
/// The closure's parameter needs no type if the error type is known otherwise.
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, scope};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// let sum = scope(async |s| {
///     let a = s.spawn(async { Ok(1) });
///     let b = s.spawn(async { Ok(2) });
///     Ok::<_, Cancelled>(a.await + b.await)
/// })
/// .await?;
/// assert_eq!(sum, 3);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn scope<T, E, F>(body: F) -> NurseryBuilder<impl Future<Output = Ended<T, E>>, T, E>
where
    F: AsyncFnOnce(&Scope<E>) -> Result<T, E>,
    E: Debug + Send + 'static,
{
    NurseryBuilder::new(async move {
        let nursery = Nursery::open();
        drive(&nursery, body(&nursery)).await
    })
}

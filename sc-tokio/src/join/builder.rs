//! What a join is before it runs.

use std::fmt::{self, Debug};
use std::future::IntoFuture;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use sc_core::{Cancelled, Failure, Joiner, Name, ScopeError, Watch};

use super::contender::{self, Start};
use super::run::{Body, Run};
use super::source::Items;
use crate::drive::{Opening, drive};
use crate::limit::Limit;
use crate::nursery::Nursery;
use crate::open::{Options, Setup};
use crate::rt::Instant;

/// A join that has not begun: set it up, then await it. Made by the functions of [`join`](crate::join).
///
/// Nothing runs before the first poll, which opens a scope below the one that is running then: cancellation and
/// deadlines come down from there. The scope is closed before the result is there: every child has ended, the losers
/// included, and its captures are dropped (P1).
///
/// Children run in the caller's task, one at a time: they may borrow, and must not block. With
/// [`parallel`](Self::parallel), each is a Tokio task of its own. A panic of a child is caught, and reaches the joiner as
/// [`Failure::Panic`]. A panic of the source, of a closure or of the joiner cancels the children, and goes on here when they
/// have ended. A panic of a task that a child started with [`spawn`](crate::spawn) is a failure of the scope: it ends
/// [`all`](super::all), [`map`](super::map) and [`for_each`](super::for_each), and goes to the failure hook under the others.
///
/// As [`NurseryBuilder`](crate::NurseryBuilder), it is an [`IntoFuture`]; where a future is needed, call `.into_future()`.
///
/// # Cancel safety
///
/// Dropping the future cancels the scope: children in the caller's task are dropped at once, and the nearest enclosing
/// scope waits for parallel ones (P3).
#[must_use = "a join does nothing unless awaited"]
pub struct JoinBuilder<'env, C, F, J, T, E> {
    source: C,
    joiner: J,
    start: Start<'env, F, T, E>,
    limit: Option<Limit>,
    setup: Setup,
}

impl<'env, C, F, J, T, E> JoinBuilder<'env, C, F, J, T, E>
where
    F: Future<Output = Result<T, E>> + Send + 'env,
    T: Send + 'env,
    E: Debug + Send + 'static,
{
    #[track_caller]
    pub(super) fn new(source: C, joiner: J, limit: Option<usize>) -> Self {
        let place = Location::caller();
        let start = Start { how: contender::borrowed::<F, T, E>, place };
        Self { source, joiner, start, limit: limit.map(Limit::new), setup: Setup::at(place) }
    }

    /// What tasks fail with that a child starts by `sc_tokio::spawn` does not end the others.
    pub(super) fn supervised(mut self) -> Self {
        self.options().policy = Some((Watch::Supervise, None));
        self
    }

    /// Runs each child as a Tokio task of its own, in parallel. It may not borrow then.
    ///
    /// # Panics
    ///
    /// When polled outside a Tokio runtime, as every scope.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Cancelled, join};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Cancelled> {
    /// let squares = join::map(1..=3_u64, |n| async move { Ok::<_, Cancelled>(n * n) }).parallel().await?;
    /// assert_eq!(squares, [1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Children that borrow cannot be parallel:
    ///
    /// ```compile_fail
    /// # use sc_tokio::{Cancelled, join};
    /// # async fn f() -> Result<(), Cancelled> {
    /// let names = [String::from("a")];
    /// let length = async |name: &String| Ok::<_, Cancelled>(name.len());
    /// join::all(names.iter().map(length)).parallel().await?; // `names` does not live long enough
    /// # Ok(())
    /// # }
    /// ```
    pub fn parallel(mut self) -> Self
    where
        F: 'static,
        T: 'static,
    {
        self.start.how = contender::parallel::<F, T, E>;
        self
    }
}

impl<C, F, J, T, E> JoinBuilder<'_, C, F, J, T, E> {
    /// At most so many children at a time: a number, or a [`Limit`] that is shared with scopes and other joins. The others
    /// are not made before there is room. Default: no limit for lists of
    /// futures, [`DEFAULT_LIMIT`](super::DEFAULT_LIMIT) for [`map`](super::map) and [`for_each`](super::for_each).
    ///
    /// # Panics
    ///
    /// If it is zero; see [`Limit::new`].
    #[track_caller]
    pub fn limit(mut self, limit: impl Into<Limit>) -> Self {
        self.limit = Some(limit.into());
        self
    }

    /// Names the scope, for messages and [`Cancelled::origin`].
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.options().name = Some(name.into());
        self
    }

    /// Cuts the join short when this much time has passed since its first poll. What that means is the joiner's:
    /// an error for most, the results so far for [`settle`](super::settle).
    ///
    /// A time-out of zero is a deadline that has passed: nothing is run, and only a join of nothing succeeds (P7, P8). Given
    /// together with [`deadline`](Self::deadline), the earlier counts. One too long for the clock is none.
    ///
    /// # Panics
    ///
    /// When polled on a runtime without a timer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options().timeout = Some(timeout);
        self
    }

    /// Cuts the join short at this instant; see [`timeout`](Self::timeout).
    ///
    /// # Panics
    ///
    /// When polled on a runtime without a timer.
    pub fn deadline(mut self, at: Instant) -> Self {
        self.options().deadline = Some(at);
        self
    }

    /// How long children may go on after they were cancelled, as losers or with the whole, to tidy up; then they are dropped
    /// at their next await. Default for losers: not at all; for a join cancelled from outside: as long as the enclosing
    /// scope's cancellation allows, else not at all.
    ///
    /// What a child returns in its grace still counts if it is a value.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options().grace = Some(grace);
        self
    }

    fn options(&mut self) -> &mut Options {
        self.setup.options.get_or_insert_default()
    }
}

impl<'env, C, F, J, T, E> IntoFuture for JoinBuilder<'env, C, F, J, T, E>
where
    C: Items<Item = F> + Send + 'env,
    F: Future<Output = Result<T, E>> + Send + 'env,
    J: Joiner<T, E> + Send + 'env,
    T: Send + 'env,
    E: Debug + Send + 'static,
{
    type Output = J::Output;
    type IntoFuture = JoinFuture<'env, J::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { source, joiner, start, limit, setup } = self;
        let block = async move {
            let nursery = Nursery::<'env, Cancelled>::open();
            // Dropped before the nursery, and after the driver, which drops the body.
            let mut run = pin!(Run::new(source, joiner, limit, nursery.node(), start.place));
            let body = Body { nursery: &nursery, run: run.as_mut(), start: &start };
            let ended = drive(&nursery, body).await;
            run.finish(ended, start.place)
        };
        JoinFuture { join: Box::pin(Opening::new(setup, block)) }
    }
}

impl<C, F, J, T, E> Debug for JoinBuilder<'_, C, F, J, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinBuilder")
            .field("place", &format_args!("{}", self.setup.place))
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// The future of a join; see [`JoinBuilder`]. Boxed, so that it can be named and is small wherever it is awaited.
#[must_use = "futures do nothing unless awaited"]
pub struct JoinFuture<'env, O> {
    join: Pin<Box<dyn Future<Output = O> + Send + 'env>>,
}

impl<O> Future for JoinFuture<'_, O> {
    type Output = O;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O> {
        self.join.as_mut().poll(cx)
    }
}

impl<O> Debug for JoinFuture<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFuture").finish_non_exhaustive()
    }
}

/// Turns the failure that a joiner ends with into what the caller of a fallible function expects: an error, or a panic that
/// goes on.
#[doc(hidden)]
pub struct Resuming<J, E> {
    joiner: J,
    // A pointer instead of a bound on the implementation, so that an error type that lacks the conversion is complained of
    // once, at the call, and not again at the `.await`.
    from_cancelled: fn(Cancelled) -> E,
}

impl<J, E: ScopeError> Resuming<J, E> {
    pub(super) fn of(joiner: J) -> Self {
        Self { joiner, from_cancelled: E::from_cancelled }
    }
}

impl<J: Debug, E> Debug for Resuming<J, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resuming").field(&self.joiner).finish()
    }
}

impl<J, V, T, E> Joiner<T, E> for Resuming<J, E>
where
    J: Joiner<T, E, Output = Result<V, Failure<E>>>,
{
    type Output = Result<V, E>;

    fn begin(&mut self, count: usize) -> std::ops::ControlFlow<()> {
        self.joiner.begin(count)
    }

    fn on_exit(&mut self, index: usize, exit: Result<T, Failure<E>>) -> std::ops::ControlFlow<()> {
        self.joiner.on_exit(index, exit)
    }

    fn finish(self, cut: Option<Cancelled>, unclaimed: &mut Vec<Failure<E>>) -> Result<V, E> {
        self.joiner.finish(cut, unclaimed).map_err(|failure| match failure {
            Failure::Error(error) => error,
            Failure::Cancelled(cancelled) => (self.from_cancelled)(cancelled),
            Failure::Panic(panic) => panic.resume(),
            _ => unreachable!("no scope owns the errors of a join's children"),
        })
    }
}

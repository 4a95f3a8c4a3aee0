//! Joins: start a group of futures, wait for what you need of it, and leave nothing behind.
//!
//! | function | gives | is decided by |
//! |---|---|---|
//! | [`all`] | every value | the first failure in time, else the last value |
//! | [`settle`] | every result | the last result, or a deadline |
//! | [`first_ok`] | one value | the first value in time |
//! | [`quorum`] | `k` values | the `k`-th value in time, or too many failures |
//! | [`map`] | every value, made from items | as `all` |
//! | [`for_each`] | nothing | as `all` |
//! | [`with`] | what a [`Joiner`] of one's own makes of it | that joiner |
//!
//! Each opens a scope of its own. When it is decided, the rest is cancelled *and waited for*: no loser runs on, and its
//! captures are dropped before the result is there (P1). Results are in the order of the input. What the caller is cancelled
//! by, or its deadline, reaches the children (P6, P8).
//!
//! Children found ended at the same look count as ended together, and are told apart by the order of the input. For children
//! in the caller's task a look is one poll of it, so that the first of two ready ones wins.
//!
//! An error that the result does not contain, as the second one of [`all`] or those of a [`first_ok`] that was won, goes to
//! the failure hook (P4).
//!
//! The children are futures that return `Result<T, E>`, and run in the caller's task unless the builder is told
//! [`parallel`](JoinBuilder::parallel); they are `Send`, so that what awaits them can be spawned.
//!
//! Against `futures::future::try_join_all` and `select_ok`, `tokio::join!` and `JoinSet`: those drop the losers' futures,
//! which cancels nothing that these have spawned, or detach them, and wait for none. Use `tokio::join!` for a few futures of
//! different types in one place, and a [`nursery!`](crate::nursery) where children are started as the work goes on.
//! The idea is that of JEP 505 (Java's `StructuredTaskScope` and its joiners).

#![allow(clippy::type_complexity, reason = "a builder's type says what it is made of, and is seldom written")]

mod builder;
mod contender;
mod room;
mod run;
mod source;

use std::fmt::Debug;

use sc_core::{Joiner, ScopeError};

#[doc(inline)]
pub use sc_core::{All, FirstOk, ForEach, Quorum, Settle};

pub use builder::{JoinBuilder, JoinFuture, Resuming};
pub use source::{Calls, Items, Iter, List, Source, Streamed, stream};

/// How many children [`map`] and [`for_each`] have in flight if they are not told otherwise.
pub const DEFAULT_LIMIT: usize = 16;

/// Waits for all values, in the order of the input. The first failure in time cancels the rest.
///
/// With nothing to wait for it is `Ok` and empty.
///
/// Against `futures::future::try_join_all`: that one drops the rest, and does not wait for what these have spawned.
///
/// # Errors
///
/// The error of the first child that failed, or the one made from the cancellation.
///
/// # Panics
///
/// Goes on with the panic of a child, if that was the first failure.
///
/// # Cancel safety
///
/// See [`JoinBuilder`].
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, join};
///
/// # async fn fetch(url: &str) -> Result<usize, Cancelled> { Ok(url.len()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// let urls = [String::from("/"), String::from("/about")];
/// let pages = join::all(urls.iter().map(|url| fetch(url))).limit(4).await?;
/// assert_eq!(pages, [1, 6]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn all<'env, I, T, E>(futures: I) -> JoinBuilder<'env, List<I::Item>, I::Item, Resuming<All<T, E>, E>, T, E>
where
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>> + Send + 'env,
    T: Send + 'env,
    E: ScopeError + Debug + Send + 'static,
{
    JoinBuilder::new(List::of(futures), Resuming::of(All::new()), None)
}

/// Waits for everybody's result, in the order of the input. A failure ends nobody else.
///
/// It never fails: after a time-out, or in a cancelled scope, those that have ended keep their results, and the others have
/// [`Failure::Cancelled`](crate::Failure::Cancelled), as have those that were never started.
///
/// Against `futures::future::join_all`: that one unwinds with the first panic, and has nothing to show after a time-out.
///
/// # Cancel safety
///
/// See [`JoinBuilder`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sc_tokio::{Cancelled, Failure, join};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let answers = join::settle([1, 60].map(|seconds| async move {
///     tokio::time::sleep(Duration::from_secs(seconds)).await;
///     Ok::<_, Cancelled>(seconds)
/// }))
/// .timeout(Duration::from_secs(2))
/// .await;
/// assert!(matches!(&answers[..], [Ok(1), Err(Failure::Cancelled(late))] if late.is_deadline()));
/// # }
/// ```
#[track_caller]
pub fn settle<'env, I, T, E>(futures: I) -> JoinBuilder<'env, List<I::Item>, I::Item, Settle<T, E>, T, E>
where
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>> + Send + 'env,
    T: Send + 'env,
    E: Debug + Send + 'static,
{
    with(Settle::new(), futures)
}

/// Races: gives the first value in time, and cancels the losers. A failure does not decide as long as somebody is left.
///
/// The failures of a race that was won go to the failure hook (P4).
///
/// Against `futures::future::select_ok`: that one drops the losers without waiting for what they spawned, keeps the last
/// error only, and panics if there is nobody.
///
/// # Errors
///
/// [`RaceError`](crate::RaceError): `Empty` without futures, `Failed` with every failure (panics too) in the order of
/// the input, `Cancelled`.
///
/// # Cancel safety
///
/// See [`JoinBuilder`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sc_tokio::{Cancelled, RaceError, join};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), RaceError<Cancelled>> {
/// let mirrors = [("far", 80), ("near", 20)];
/// let fastest = join::first_ok(mirrors.map(|(mirror, latency)| async move {
///     tokio::time::sleep(Duration::from_millis(latency)).await;
///     Ok(mirror)
/// }))
/// .await?;
/// assert_eq!(fastest, "near");
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn first_ok<'env, I, T, E>(futures: I) -> JoinBuilder<'env, List<I::Item>, I::Item, FirstOk<T, E>, T, E>
where
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>> + Send + 'env,
    T: Send + 'env,
    E: Debug + Send + 'static,
{
    with(FirstOk::new(), futures)
}

/// Gives the first `needed` values in time, in the order of the input, and cancels the rest.
///
/// A quorum of zero is `Ok` and empty. It, and one larger than the group, runs nothing. The failures of a quorum that
/// was reached go to the failure hook (P4).
///
/// # Errors
///
/// [`RaceError`](crate::RaceError): `TooFew` if the quorum is larger than the group, `Failed` as soon as so many have failed
/// that it cannot be reached any more, with the failures until then in the order of the input, `Cancelled`.
///
/// # Cancel safety
///
/// See [`JoinBuilder`].
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, RaceError, join};
///
/// # async fn write(replica: u8) -> Result<u8, Cancelled> {
/// #     if replica == 1 { std::future::pending::<()>().await; }
/// #     Ok(replica)
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), RaceError<Cancelled>> {
/// let written = join::quorum(2, [0, 1, 2].map(write)).await?; // replica 1 hangs
/// assert_eq!(written, [0, 2]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn quorum<'env, I, T, E>(needed: usize, futures: I) -> JoinBuilder<'env, List<I::Item>, I::Item, Quorum<T, E>, T, E>
where
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>> + Send + 'env,
    T: Send + 'env,
    E: Debug + Send + 'static,
{
    with(Quorum::new(needed), futures)
}

/// Runs a group of futures under a [`Joiner`] of one's own.
///
/// The built-in joiners are values too: `join::with(All::new(), ..)` gives a [`Failure`](crate::Failure) instead of an error,
/// and so needs no conversion from [`Cancelled`](crate::Cancelled).
///
/// # Panics
///
/// Goes on with a panic of the joiner, when every child has ended.
///
/// # Cancel safety
///
/// See [`JoinBuilder`].
///
/// # Examples
///
/// ```
/// use std::ops::ControlFlow;
/// use sc_tokio::{Cancelled, Failure, Joiner, join};
///
/// /// How many had succeeded before the first failure.
/// struct Streak(u32);
///
/// impl<T, E> Joiner<T, E> for Streak {
///     type Output = u32;
///
///     fn on_exit(&mut self, _: usize, exit: Result<T, Failure<E>>) -> ControlFlow<()> {
///         self.0 += u32::from(exit.is_ok());
///         if exit.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
///     }
///
///     fn finish(self, _: Option<Cancelled>, _: &mut Vec<Failure<E>>) -> u32 {
///         self.0
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let streak = join::with(Streak(0), [1, 2, 0, 3].map(|n| async move { 6_u32.checked_div(n).ok_or("by zero") })).await;
/// assert_eq!(streak, 2);
/// # }
/// ```
#[track_caller]
pub fn with<'env, J, I, T, E>(joiner: J, futures: I) -> JoinBuilder<'env, List<I::Item>, I::Item, J, T, E>
where
    J: Joiner<T, E> + Send + 'env,
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>> + Send + 'env,
    T: Send + 'env,
    E: Debug + Send + 'static,
{
    JoinBuilder::new(List::of(futures), joiner, None).supervised()
}

/// Makes a value of each item, several at a time, and gives them in the order of the items. The first failure in time cancels
/// the rest.
///
/// An item is taken from the source only while there is room for another child: at most
/// [`limit`](JoinBuilder::limit) of them, [`DEFAULT_LIMIT`] if nothing is said. While the source, if it is a [`stream`], is
/// waited for, the children go on.
///
/// Against `StreamExt::buffered`: there nothing goes on while the consumer is busy, and what the futures spawned is left
/// behind. Use it where the results are to be a stream themselves.
///
/// # Errors
///
/// As [`all`].
///
/// # Panics
///
/// Goes on with the panic of a child, if that was the first failure; with one of the source or the closure in any case.
///
/// # Cancel safety
///
/// See [`JoinBuilder`]. Items taken from the source are lost.
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, join};
///
/// # async fn resize(image: &str) -> Result<String, Cancelled> { Ok(format!("{image}, small")) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// let images = vec![String::from("cat"), String::from("dog")];
/// let small = join::map(&images, |image| resize(image)).limit(2).await?;
/// assert_eq!(small, ["cat, small", "dog, small"]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn map<'env, S, G, F, T, E>(
    source: S,
    f: G,
) -> JoinBuilder<'env, Calls<S::Items, G>, F, Resuming<All<T, E>, E>, T, E>
where
    S: Source,
    S::Items: Send + 'env,
    G: FnMut(S::Item) -> F + Send + 'env,
    F: Future<Output = Result<T, E>> + Send + 'env,
    T: Send + 'env,
    E: ScopeError + Debug + Send + 'static,
{
    JoinBuilder::new(Calls::of(source.into_items(), f), Resuming::of(All::new()), Some(DEFAULT_LIMIT))
}

/// Does something for each item, several at a time, and keeps nothing of it (P11). The first failure in time cancels the
/// rest.
///
/// As [`map`], without the values. Against `StreamExt::for_each_concurrent`: that one has no way to fail, and leaves behind
/// what the futures spawned.
///
/// # Errors
///
/// As [`all`].
///
/// # Panics
///
/// As [`map`].
///
/// # Cancel safety
///
/// See [`JoinBuilder`]. Items taken from the source are lost.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use sc_tokio::{Cancelled, join};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// let sum = AtomicU64::new(0);
/// join::for_each(1..=100, |n| {
///     let sum = &sum;
///     async move {
///         sum.fetch_add(n, Ordering::Relaxed);
///         Ok::<_, Cancelled>(())
///     }
/// })
/// .await?;
/// assert_eq!(sum.into_inner(), 5050);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn for_each<'env, S, G, F, E>(
    source: S,
    f: G,
) -> JoinBuilder<'env, Calls<S::Items, G>, F, Resuming<ForEach<E>, E>, (), E>
where
    S: Source,
    S::Items: Send + 'env,
    G: FnMut(S::Item) -> F + Send + 'env,
    F: Future<Output = Result<(), E>> + Send + 'env,
    E: ScopeError + Debug + Send + 'static,
{
    JoinBuilder::new(Calls::of(source.into_items(), f), Resuming::of(ForEach::new()), Some(DEFAULT_LIMIT))
}

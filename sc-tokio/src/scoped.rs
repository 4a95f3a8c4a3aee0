//! What `#[scoped]` expands to, beside what [`nursery!`](crate::nursery) does.
//!
//! A function's return type is written once in its expansion; [`scoped`] tells what it stands for, and everything else
//! takes it from there. If it stands for nothing that a scope can return, the compiler says so once.

use std::convert::Infallible;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use sc_core::Failure;

use crate::builder::{MapCancelled, NurseryBuilder, ViaFrom};
use crate::drive::{Drive, Ended, Opening, drive};
use crate::nursery::Nursery;

/// What a `#[scoped]` function can return.
#[diagnostic::on_unimplemented(
    message = "a `#[scoped]` function returns `Result<T, E>`, or nothing: not `{Self}`",
    label = "a scope can be cancelled, and the caller has to learn of it"
)]
pub trait ScopedOutput {
    type Shape;
}

impl<T, E> ScopedOutput for Result<T, E> {
    type Shape = Fallible;
}

impl ScopedOutput for () {
    type Shape = Quiet;
}

/// Of a function that returns a `Result`.
#[derive(Debug)]
pub struct Fallible(());

/// Of a function that returns nothing, not even that it was cancelled.
#[derive(Debug)]
pub struct Quiet(());

/// How a function's output is the outcome of a scope's body.
pub trait Shape<R> {
    type Value;
    type Error: Debug + Send + 'static;
    fn into_result(output: R) -> Result<Self::Value, Self::Error>;
}

impl<T, E: Debug + Send + 'static> Shape<Result<T, E>> for Fallible {
    type Value = T;
    type Error = E;

    fn into_result(output: Result<T, E>) -> Result<T, E> {
        output
    }
}

impl Shape<()> for Quiet {
    type Value = ();
    type Error = Infallible;

    fn into_result((): ()) -> Result<(), Infallible> {
        Ok(())
    }
}

/// How the outcome of a scope is a function's output; `M` says what becomes of a cancellation.
pub trait Settled<R, M>: Shape<R> {
    fn settle(ended: Ended<Self::Value, Self::Error>, map: &mut M) -> R;
}

impl<T, E: Debug + Send + 'static, M: MapCancelled<E>> Settled<Result<T, E>, M> for Fallible {
    fn settle(ended: Ended<T, E>, map: &mut M) -> Result<T, E> {
        crate::builder::result(ended, map)
    }
}

impl Settled<(), ViaFrom> for Quiet {
    fn settle(ended: Ended<(), Infallible>, _: &mut ViaFrom) {
        if let Err(Failure::Panic(panic)) = ended.into_result() {
            panic.resume();
        }
    }
}

/// Names the types of a function. Not `Copy`: a block that uses it up captures nothing.
#[derive(Debug)]
pub struct Typed<R, S> {
    output: PhantomData<fn() -> R>,
    shape: PhantomData<fn() -> S>,
}

impl<R, S> Typed<R, S> {
    const NEW: Self = Self { output: PhantomData, shape: PhantomData };

    /// Stands in a branch that is never taken.
    pub fn result(self) -> R {
        let _ = self.output;
        unreachable!("the macros put this call where it is never reached")
    }

    /// Tells the driver what the body's output stands for.
    pub fn shape(&self) -> PhantomData<fn() -> S> {
        self.shape
    }
}

/// Tells what a return type stands for: once for the body, once for the end.
pub fn scoped<R: ScopedOutput>() -> (Typed<R, R::Shape>, Typed<R, R::Shape>) {
    (Typed::NEW, Typed::NEW)
}

/// A builder that bears the function's name.
#[track_caller]
pub fn nursery_named<F, T, E>(name: &'static &'static str, block: F) -> NurseryBuilder<F, T, E>
where
    F: Future<Output = Ended<T, E>>,
{
    NurseryBuilder::new(block).named_after(name)
}

/// Opens the scope of the function that is being polled.
pub fn open_scoped<'env, R, S: Shape<R>>(_: &Typed<R, S>) -> Nursery<'env, S::Error> {
    Nursery::open()
}

pin_project! {
    /// A function's body as the body of its scope.
    pub struct IntoResult<S, B> {
        #[pin]
        body: B,
        shape: PhantomData<fn() -> S>,
    }
}

impl<S: Shape<B::Output>, B: Future> Future for IntoResult<S, B> {
    type Output = Result<S::Value, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().body.poll(cx).map(S::into_result)
    }
}

/// Runs a function's body as the body of its scope.
pub fn drive_scoped<'n, 'env, R, S: Shape<R>, B: Future<Output = R>>(
    nursery: &'n Nursery<'env, S::Error>,
    shape: PhantomData<fn() -> S>,
    body: B,
) -> Drive<'n, 'env, S::Value, S::Error, IntoResult<S, B>> {
    drive(nursery, IntoResult { body, shape })
}

pin_project! {
    /// The scope as the rest of its function.
    pub struct Settle<R, S, F, M> {
        #[pin]
        opening: Opening<F>,
        map: M,
        types: PhantomData<fn() -> (R, S)>,
    }
}

/// Makes the function's output of its scope's outcome.
pub fn settle<R, S: Shape<R>, F, M>(
    _: Typed<R, S>,
    scope: NurseryBuilder<F, S::Value, S::Error, M>,
) -> Settle<R, S, F, M> {
    let (opening, map) = scope.into_parts();
    Settle { opening, map, types: PhantomData }
}

impl<R, S, F, M> Future for Settle<R, S, F, M>
where
    S: Settled<R, M>,
    F: Future<Output = Ended<S::Value, S::Error>>,
{
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.project();
        let ended = std::task::ready!(this.opening.poll(cx));
        Poll::Ready(S::settle(ended, this.map))
    }
}

impl<S, B> Debug for IntoResult<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoResult").finish_non_exhaustive()
    }
}

impl<R, S, F, M> Debug for Settle<R, S, F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settle").finish_non_exhaustive()
    }
}

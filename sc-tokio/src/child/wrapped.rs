//! What the attributes of a child put around its code.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::ChildOutput;
use super::limited::{Bound, limited};
use crate::shield;

/// A deadline of the child's own, and a shield outside of that.
#[derive(Debug)]
pub(crate) struct Wrapping {
    pub(crate) bound: Option<Bound>,
    pub(crate) shield: Option<Duration>,
    pub(crate) place: &'static Location<'static>,
}

pin_project! {
    /// A child's code, with its output as a result at once: the output itself need not be `Send`.
    struct Resulting<F, E> {
        #[pin]
        code: F,
        error: PhantomData<fn() -> E>,
    }
}

impl<F, E> Future for Resulting<F, E>
where
    F: Future,
    F::Output: ChildOutput<E>,
{
    type Output = Result<<F::Output as ChildOutput<E>>::Value, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().code.poll(cx).map(ChildOutput::into_result)
    }
}

/// Runs the code of a child in what it asked for.
pub(crate) async fn wrapped<F, E>(wrapping: Wrapping, code: F) -> Result<<F::Output as ChildOutput<E>>::Value, E>
where
    F: Future,
    F::Output: ChildOutput<E>,
    E: Debug + Send + 'static,
{
    let Wrapping { bound, shield, place } = wrapping;
    match (shield, bound) {
        (None, None) => Resulting { code, error: PhantomData }.await,
        (None, Some(bound)) => limited::<F, E>(bound, code).await,
        (Some(limit), None) => shield::whole(limit, Resulting { code, error: PhantomData }, place).await,
        (Some(limit), Some(bound)) => shield::whole(limit, limited::<F, E>(bound, code), place).await,
    }
}

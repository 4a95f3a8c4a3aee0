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
///
/// The code is boxed, since each layer of `async` around it would hold it twice: once as what it was given, once as what it
/// awaits. A task of many times its size costs more to move and to free than the box does.
pub(crate) fn wrapped<F, E>(
    wrapping: Wrapping,
    code: F,
) -> impl Future<Output = Result<<F::Output as ChildOutput<E>>::Value, E>>
where
    F: Future,
    F::Output: ChildOutput<E>,
    E: Debug + Send + 'static,
{
    let Wrapping { bound, shield, place } = wrapping;
    let code = Box::pin(code);
    async move {
        match (shield, bound) {
            (None, None) => Resulting { code, error: PhantomData }.await,
            (None, Some(bound)) => limited::<_, E>(bound, code).await,
            (Some(limit), None) => shield::whole(limit, Resulting { code, error: PhantomData }, place).await,
            (Some(limit), Some(bound)) => shield::whole(limit, limited::<_, E>(bound, code), place).await,
        }
    }
}

#[cfg(all(test, not(sc_shuttle)))]
mod tests {
    use sc_core::Cancelled;

    use super::*;

    #[test]
    fn what_is_put_around_a_child_does_not_multiply_its_size() {
        let code = async {
            let kept = [0_u8; 4096];
            tokio::task::yield_now().await;
            std::hint::black_box(&kept);
        };
        let wrapping = Wrapping { bound: None, shield: None, place: Location::caller() };
        assert!(size_of_val(&wrapped::<_, Cancelled>(wrapping, code)) < 4096);
    }
}

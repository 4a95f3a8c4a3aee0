//! Where the children of a join come from: a list, an iterator, a stream; each perhaps through a closure.

use std::fmt::{self, Debug};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

/// What [`map`](super::map) and [`for_each`](super::for_each) work through: an [`IntoIterator`], or a stream wrapped by
/// [`stream`]. Sealed. (rustc says of a stream that was not wrapped that it is no iterator.)
pub trait Source: sealed::Sealed {
    /// What it gives.
    type Item;
    #[doc(hidden)]
    type Items: Items<Item = Self::Item>;

    #[doc(hidden)]
    fn into_items(self) -> Self::Items;
}

mod sealed {
    pub trait Sealed {}
}

impl<I: IntoIterator> sealed::Sealed for I {}

impl<I: IntoIterator> Source for I {
    type Item = I::Item;
    type Items = Iter<I::IntoIter>;

    fn into_items(self) -> Self::Items {
        Iter { iter: self.into_iter() }
    }
}

impl<S: Stream> sealed::Sealed for Streamed<S> {}

impl<S: Stream> Source for Streamed<S> {
    type Item = S::Item;
    type Items = Self;

    fn into_items(self) -> Self {
        self
    }
}

/// Makes a [`Source`] of a stream, for [`map`](super::map) and [`for_each`](super::for_each).
///
/// It is polled only while there is room for another child, and while it is waited for the children go on.
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, join};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// let numbers = futures::stream::iter([1, 2, 3]);
/// let doubled = join::map(join::stream(numbers), |n| async move { Ok::<_, Cancelled>(n * 2) }).await?;
/// assert_eq!(doubled, [2, 4, 6]);
/// # Ok(())
/// # }
/// ```
pub fn stream<S: Stream>(stream: S) -> Streamed<S> {
    Streamed { stream }
}

pin_project! {
    /// A stream as the source of a join; made by [`stream`].
    #[must_use = "a source does nothing by itself"]
    pub struct Streamed<S> {
        #[pin]
        stream: S,
    }
}

impl<S> Debug for Streamed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").finish_non_exhaustive()
    }
}

/// What gives one thing after another. Seen in signatures, and not to be named.
#[doc(hidden)]
pub trait Items {
    type Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;

    /// Whether it is known, without asking it for the next, that there is none.
    fn is_at_end(&self) -> bool;

    /// How many there are, if that is known for certain.
    fn count(&self) -> Option<usize> {
        None
    }
}

/// An iterator's.
#[doc(hidden)]
#[derive(Debug)]
pub struct Iter<I> {
    iter: I,
}

// It is never pinned: only moved out of.
impl<I> Unpin for Iter<I> {}

impl<I: Iterator> Items for Iter<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.iter.next())
    }

    fn is_at_end(&self) -> bool {
        self.iter.size_hint() == (0, Some(0))
    }
}

impl<S: Stream> Items for Streamed<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.project().stream.poll_next(cx)
    }

    /// A stream that will give nothing more may be silent all the same, as `futures::stream::pending`.
    fn is_at_end(&self) -> bool {
        false
    }
}

/// A list of futures, all there from the start.
#[doc(hidden)]
pub struct List<F> {
    futures: std::vec::IntoIter<F>,
}

impl<F> List<F> {
    pub(super) fn of(futures: impl IntoIterator<Item = F>) -> Self {
        Self { futures: futures.into_iter().collect::<Vec<_>>().into_iter() }
    }
}

impl<F> Debug for List<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("left", &self.futures.len()).finish()
    }
}

impl<F> Unpin for List<F> {}

impl<F> Items for List<F> {
    type Item = F;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<F>> {
        Poll::Ready(self.futures.next())
    }

    fn is_at_end(&self) -> bool {
        self.futures.len() == 0
    }

    fn count(&self) -> Option<usize> {
        Some(self.futures.len())
    }
}

pin_project! {
    /// The futures that a closure makes of a source's items.
    #[doc(hidden)]
    pub struct Calls<S, G> {
        #[pin]
        items: S,
        call: G,
    }
}

impl<S, G> Calls<S, G> {
    pub(super) const fn of(items: S, call: G) -> Self {
        Self { items, call }
    }
}

impl<S, G> Debug for Calls<S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

impl<S, G, F> Items for Calls<S, G>
where
    S: Items,
    G: FnMut(S::Item) -> F,
{
    type Item = F;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F>> {
        let this = self.project();
        let item = ready!(this.items.poll_next(cx));
        Poll::Ready(item.map(this.call))
    }

    fn is_at_end(&self) -> bool {
        self.items.is_at_end()
    }
}

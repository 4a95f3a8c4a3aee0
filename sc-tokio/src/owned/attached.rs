//! A value that carries the scope of those who work for it.

use std::fmt::{self, Debug};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;
use sc_core::Cancelled;

use super::Owner;

pin_project! {
    /// A value together with the scope that its producers run in; made by
    /// [`OwnedScope::attach`](crate::OwnedScope::attach).
    ///
    /// It derefs to the value and is a `Stream` when the value is one, so a handler can return it, as a response body
    /// for instance, while the producers go on. Dropping it cancels the producers
    /// ([`Reason::ScopeDropped`](crate::Reason::ScopeDropped)), then drops the value; what is left of them
    /// belongs to the scope's parent, as for any dropped [`OwnedScope`](crate::OwnedScope).
    ///
    /// A `nursery!` or `#[scoped]` function that spawns the producer of the stream it returns never returns, since it waits for
    /// the producer (P1). This is the way out, with a scope that is not below the one that returns:
    /// [`OwnedScope::new`](crate::OwnedScope::new), or under the scope of a caller.
    ///
    /// # What the reader sees
    ///
    /// What the value gives, to its own end. A scope that is cancelled, since a producer failed or the parent
    /// was cancelled, does not end the stream: the producers are dropped, with them (for instance) the senders of the
    /// channel, and the reader gets what was sent and then the end that the channel gives. **A stream cut short looks like one that is
    /// complete**, as with any channel. The failure itself goes to the failure hook when the `Attached` is dropped
    /// ([`set_failure_hook`](crate::set_failure_hook)). A reader who has to know sends `Result`s, or an end mark,
    /// through the channel. [`Attached::cancelled`] tells too, but not at once: a producer's values are dropped before its
    /// failure is judged.
    ///
    /// Its own functions are associated ones (`Attached::into_inner(it)`), so that they hide no method of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::pin::Pin;
    /// use std::task::{Context, Poll};
    /// use sc_tokio::{Attached, Cancelled, OwnedScope, scoped};
    /// use tokio::sync::mpsc;
    ///
    /// #[scoped]
    /// async fn numbers() -> Result<Attached<mpsc::Receiver<u32>>, Cancelled> {
    ///     let producers = OwnedScope::<Cancelled>::new();
    ///     let (sender, receiver) = mpsc::channel(1);
    ///     producers.spawn(async move {
    ///         for n in 0..3 {
    ///             let _ = sender.send(n).await;
    ///         }
    ///     });
    ///     Ok(producers.attach(receiver)) // at once; the producer goes on
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Cancelled> {
    /// let mut numbers = numbers().await?;
    /// assert_eq!(numbers.recv().await, Some(0));
    /// drop(numbers); // and the producer is cancelled
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Against returning the `Receiver` of a `tokio::spawn`ed producer: that one finds out that nobody reads when it
    /// sends the next time, if ever, and its failure is nobody's. Do that where a producer has to finish though its reader left.
    #[must_use = "dropping it cancels the producers"]
    pub struct Attached<V> {
        // Dropped before the value, so that producers are cancelled before they see their channel close.
        owner: Owner,
        #[pin]
        value: V,
    }
}

impl<V> Attached<V> {
    pub(super) fn new(owner: Owner, value: V) -> Self {
        Self { owner, value }
    }

    /// Gives the value back without its producers, which are cancelled: to read what they have sent already.
    pub fn into_inner(this: Self) -> V {
        this.value
    }

    /// Why the scope of the producers was cancelled, if it was.
    pub fn cancelled(this: &Self) -> Option<Cancelled> {
        this.owner.node.books().scope.cancelled().cloned()
    }
}

impl<V> Deref for Attached<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl<V> DerefMut for Attached<V> {
    fn deref_mut(&mut self) -> &mut V {
        &mut self.value
    }
}

impl<V: Stream> Stream for Attached<V> {
    type Item = V::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<V::Item>> {
        self.project().value.poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.value.size_hint()
    }
}

impl<V: Debug> Debug for Attached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("scope", &self.owner.node.id()).field("value", &self.value).finish()
    }
}

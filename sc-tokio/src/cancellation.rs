//! Asking for a cancellation from outside, and waiting for one.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use sc_core::{CancelRequest, Cancelled, Reason};

use crate::node::Node;
use crate::waiting::Waiting;

/// A stop button: cancels its scope from anywhere, at any time. Made by
/// [`Scope::canceller`](crate::Scope::canceller).
///
/// It neither keeps the scope open nor can it spawn; once the scope is closed it does nothing.
/// Against `CancellationToken`: a canceller says why.
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, nursery};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let result: Result<(), Cancelled> = nursery!(async |n| {
///     let stop = n.canceller();
///     n.spawn(async move { stop.cancel("enough") });
///     std::future::pending().await
/// })
/// .await;
/// assert!(result.unwrap_err().to_string().ends_with(": enough"));
/// # }
/// ```
#[derive(Clone)]
pub struct Canceller {
    node: Arc<Node>,
}

impl Canceller {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// Cancels the scope; as [`Scope::cancel`](crate::Scope::cancel).
    pub fn cancel(&self, why: impl Into<Box<dyn Error + Send + Sync>>) {
        self.node.cancel(CancelRequest::with_cause(Reason::Requested, why.into()));
    }

    /// Whether the scope has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Whether the scope has ended, with everything in it.
    pub fn is_closed(&self) -> bool {
        self.node.is_closed()
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("scope", &self.node.id()).field("cancelled", &self.is_cancelled()).finish()
    }
}

/// Resolves when a scope is cancelled; made by [`Scope::cancelled`](crate::Scope::cancelled).
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Cancellation<'n> {
    node: &'n Arc<Node>,
    waiting: Waiting,
}

impl<'n> Cancellation<'n> {
    pub(crate) fn new(node: &'n Arc<Node>) -> Self {
        Self { node, waiting: Waiting::default() }
    }
}

impl Future for Cancellation<'_> {
    type Output = Cancelled;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Cancelled> {
        let node = self.node;
        if !node.is_cancelled() {
            self.waiting.wait(node, cx);
        }
        match node.books().scope.cancelled() {
            Some(cancelled) => Poll::Ready(cancelled.clone()),
            None => Poll::Pending,
        }
    }
}

impl Drop for Cancellation<'_> {
    fn drop(&mut self) {
        self.waiting.leave(self.node);
    }
}

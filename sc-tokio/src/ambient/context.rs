//! What code can ask without being handed a scope.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use sc_core::{Cancelled, ScopeId};

use crate::builder::NurseryBuilder;
use crate::drive::{Ended, drive};
use crate::frame::{self, Opener};
use crate::node::{Node, Status};
use crate::nursery::Nursery;
use crate::rt::{self, Instant};
use crate::waiting::Waiting;

/// The scope that the running code belongs to; see [`current`].
#[derive(Clone)]
pub struct Current {
    node: Arc<Node>,
}

impl Current {
    /// The scope's number, unique in the process.
    pub fn id(&self) -> ScopeId {
        self.node.id()
    }

    /// The scope's name, if it was given one.
    pub fn name(&self) -> Option<&str> {
        self.node.origin().name()
    }

    /// Where in the source the scope was opened.
    pub fn place(&self) -> &'static Location<'static> {
        self.node.origin().place()
    }

    /// Why the scope was cancelled, if it was.
    pub fn cancelled(&self) -> Option<Cancelled> {
        self.node.books().scope.cancelled().cloned()
    }

    /// The cancellation that the nearest [`shield`](crate::shield()) around the running code keeps out, if there is one.
    pub fn pending_cancellation(&self) -> Option<Cancelled> {
        let mut next = Some(Arc::clone(&self.node));
        while let Some(node) = next {
            let books = node.books();
            if let Some(shield) = &books.shield {
                return shield.pending().cloned();
            }
            next = books.inherits_from();
        }
        None
    }

    /// How many children are alive.
    pub fn len(&self) -> usize {
        self.node.living_children()
    }

    /// Whether no child is alive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The nearest enclosing scope; `None` outside any. It can be asked, not spawned into.
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, nursery};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// assert!(sc_tokio::current().is_none());
/// nursery!(async |_n| {
///     assert_eq!(sc_tokio::current().unwrap().name(), Some("page"));
///     Ok(())
/// })
/// .named("page")
/// .await
/// # }
/// ```
pub fn current() -> Option<Current> {
    frame::current().map(|opener| Current { node: opener.node })
}

/// The deadline that holds here: the minimum over the enclosing scopes.
pub fn deadline() -> Option<Instant> {
    let node = frame::current()?.node;
    let deadline = node.books().scope.deadline().map(sc_core::Deadline::at);
    deadline.map(Instant::from_std)
}

/// What is left until the [`deadline`]; zero once it has passed.
pub fn remaining() -> Option<Duration> {
    frame::current()?.node.remaining()
}

/// Whether the running code has been cancelled: its scope, or the child it is part of.
pub fn is_cancelled() -> bool {
    frame::current().is_some_and(|here| told(&here).is_some())
}

/// Resolves when the running code is cancelled, with the notice. Outside any scope: never.
///
/// # Cancel safety
///
/// Cancel safe: nothing is lost by dropping it.
pub async fn cancelled() -> Cancelled {
    match frame::current() {
        Some(here) => Told { here, waiting: Waiting::default() }.await,
        None => std::future::pending().await,
    }
}

/// `Err` once the running code is cancelled; else gives the runtime a chance to run somebody else.
///
/// For loops that never wait for anything: it spends Tokio's cooperative budget, so it yields now
/// and then, looks at the clock if there is a deadline, and lets `?` leave the loop.
///
/// # Errors
///
/// The notice of the cancellation.
///
/// # Cancel safety
///
/// Cancel safe.
pub async fn checkpoint() -> Result<(), Cancelled> {
    rt::consume_budget().await;
    let Some(here) = frame::current() else { return Ok(()) };
    // Code that never waits keeps whoever would notice from running.
    here.node.expire_if_due();
    match told(&here) {
        Some(cancelled) => Err(cancelled),
        None => Ok(()),
    }
}

/// Runs a future with a deadline of its own, as a scope: what is spawned in it is joined, and
/// what it calls inherits the deadline.
///
/// The time counts from the first poll. A future that is ready at its first poll wins over any
/// time-out, zero too; one that is too long for the clock is none.
///
/// Against `tokio::time::timeout`: that one drops the future and leaves what it spawned running, and of two
/// nested ones that expire together the inner one reports. Use it for a single read or write that
/// spawns nothing and asks nobody for a deadline: it costs less than a scope.
///
/// # Errors
///
/// The notice of the cancellation. If [`Cancelled::is_deadline`] is true and [`Cancelled::is_inherited`]
/// is not, this time-out expired; what is inherited came from an ancestor, and trying again is pointless.
///
/// # Panics
///
/// Goes on with the panic of the future, or of a task that it spawned and that nobody else owns. When
/// the future is pending on a runtime without a timer.
///
/// # Cancel safety
///
/// Dropping it drops the future and cancels what it spawned; the enclosing scope waits for that (P3).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::time::Duration;
///
/// let late = sc_tokio::timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
/// assert!(late.unwrap_err().is_deadline());
/// # }
/// ```
#[track_caller]
pub fn timeout<F: Future>(limit: Duration, future: F) -> impl Future<Output = Result<F::Output, Cancelled>> {
    IntoFuture::into_future(around(future).timeout(limit))
}

/// Runs a future with a deadline of its own, given as an instant; as [`timeout`] in everything else.
///
/// For deadlines that come from somebody else, as one that arrived with a request. The enclosing scopes'
/// need not be passed on: they hold anyway.
///
/// # Errors
///
/// As [`timeout`].
///
/// # Panics
///
/// As [`timeout`].
///
/// # Cancel safety
///
/// As [`timeout`].
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::time::Duration;
/// use tokio::time::Instant;
///
/// let noon = Instant::now() + Duration::from_secs(1);
/// let late = sc_tokio::timeout_at(noon, std::future::pending::<()>()).await;
/// assert!(late.unwrap_err().is_deadline());
/// assert_eq!(Instant::now(), noon);
/// # }
/// ```
#[track_caller]
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> impl Future<Output = Result<F::Output, Cancelled>> {
    IntoFuture::into_future(around(future).deadline(deadline))
}

/// A scope around a future.
#[track_caller]
fn around<F: Future>(
    future: F,
) -> NurseryBuilder<impl Future<Output = Ended<F::Output, Cancelled>>, F::Output, Cancelled> {
    NurseryBuilder::new(async move {
        let nursery = Nursery::<Cancelled>::open();
        drive(&nursery, async move { Ok(future.await) }).await
    })
}

/// What the running member has been told.
fn told(here: &Opener) -> Option<Cancelled> {
    if !here.node.has_stops() {
        return None;
    }
    match here.node.status(here.who.member(), here.who.is_daemon()) {
        Status::Run => None,
        Status::Told(cancelled, _) | Status::Stop(cancelled, _) => Some(cancelled),
    }
}

struct Told {
    here: Opener,
    waiting: Waiting,
}

impl Future for Told {
    type Output = Cancelled;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Cancelled> {
        let this = self.get_mut();
        if let Some(cancelled) = told(&this.here) {
            return Poll::Ready(cancelled);
        }
        this.waiting.wait(&this.here.node, cx);
        match told(&this.here) {
            Some(cancelled) => Poll::Ready(cancelled),
            None => Poll::Pending,
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.waiting.leave(&self.here.node);
    }
}

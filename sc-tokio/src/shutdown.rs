//! The beginning of a program's shutdown, which is not yet a cancellation.
//!
//! The latch is on the program's root. Children that are to go first are listed there, from their admission to their end.
//! Who takes the root from here to its end is `program/phases.rs`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use sc_core::Reason;

use crate::node::Node;
use crate::root;
use crate::rt::Handle;
use crate::waiting::Waiting;

/// A root's. Boxed, since no other scope has one.
#[derive(Debug, Default)]
pub(crate) struct Latch(Option<Box<Listed>>);

#[derive(Debug, Default)]
struct Listed {
    begun: bool,
    /// What begins the shutdown does not begin the drain yet.
    delayed: bool,
    /// The drain has begun: who is on the list is stopped.
    draining: bool,
    /// How often somebody has asked to go to the next phase.
    hurried: u32,
    next: u64,
    children: BTreeMap<u64, Target>,
}

impl Latch {
    fn has_begun(&self) -> bool {
        self.0.as_ref().is_some_and(|listed| listed.begun)
    }

    fn is_draining(&self) -> bool {
        self.0.as_ref().is_some_and(|listed| listed.draining)
    }

    fn listed(&mut self) -> &mut Listed {
        self.0.get_or_insert_default()
    }

    /// Has some time pass between the beginning of the shutdown and that of the drain.
    pub(crate) fn delay(&mut self) {
        self.listed().delayed = true;
    }
}

/// A child that is to be stopped.
#[derive(Debug, Clone)]
struct Target {
    node: Weak<Node>,
    id: u64,
    daemon: bool,
}

impl Target {
    /// Gives the scope, if its children have to look.
    fn stop(&self) -> Option<Arc<Node>> {
        let node = self.node.upgrade()?;
        let _ = node.stop_child(self.id, self.daemon, Reason::Shutdown, None, false);
        Some(node)
    }
}

/// A child that is listed.
#[derive(Debug)]
pub(crate) struct Enlisted {
    root: Arc<Node>,
    ticket: u64,
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        let left = self.root.books().latch.0.as_mut().and_then(|listed| listed.children.remove(&self.ticket));
        drop(left);
    }
}

/// Has the child stopped when the program's drain begins; at once, if it has.
pub(crate) fn enlist(node: &Arc<Node>, id: u64, daemon: bool) -> Option<Enlisted> {
    let root = root::explicit(node.runtime())?;
    let target = Target { node: Arc::downgrade(node), id, daemon };
    let ticket = {
        let mut books = root.books();
        let listed = books.latch.listed();
        if listed.draining {
            None
        } else {
            listed.next += 1;
            listed.children.insert(listed.next, target.clone());
            Some(listed.next)
        }
    };
    if ticket.is_none() {
        // Nobody waits here yet; the child looks before its first poll.
        if let Some(node) = target.stop() {
            node.begin_epoch();
            // Somebody has to time its grace, and may be parked (P9).
            node.rearm();
        }
    }
    ticket.map(|ticket| Enlisted { root, ticket })
}

impl Node {
    /// Begins the shutdown of a root, and its drain, unless that comes later.
    pub(crate) fn begin_shutdown(self: &Arc<Self>) {
        let (waiters, delayed) = {
            let mut books = self.books();
            let listed = books.latch.listed();
            listed.begun = true;
            let delayed = listed.delayed;
            (books.waiters.take(), delayed)
        };
        crate::wake::wake_all(waiters);
        if !delayed {
            self.begin_drain();
        }
    }

    /// Stops those who run until then.
    pub(crate) fn begin_drain(self: &Arc<Self>) {
        let (targets, waiters) = {
            let mut books = self.books();
            let listed = books.latch.listed();
            listed.draining = true;
            let targets: Vec<_> = std::mem::take(&mut listed.children).into_values().collect();
            (targets, books.waiters.take())
        };
        crate::wake::wake_all(waiters);
        let mut told = BTreeMap::new();
        for node in targets.iter().filter_map(Target::stop) {
            told.entry(node.id()).or_insert(node);
        }
        for node in told.into_values() {
            node.wake_present();
            node.rearm();
        }
    }

    /// Ends the phase in which a root's shutdown is; begins one if there is none.
    pub(crate) fn hurry_shutdown(self: &Arc<Self>) {
        self.begin_shutdown();
        let waiters = {
            let mut books = self.books();
            let listed = books.latch.listed();
            listed.hurried = listed.hurried.saturating_add(1);
            books.waiters.take()
        };
        crate::wake::wake_all(waiters);
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.books().latch.has_begun()
    }

    /// How often somebody has asked to go to the next phase.
    pub(crate) fn hurried(&self) -> u32 {
        self.books().latch.0.as_ref().map_or(0, |listed| listed.hurried)
    }
}

fn current() -> Option<Arc<Node>> {
    root::explicit(&Handle::try_current().ok()?)
}

/// Whether the program has begun to shut down: a signal came, or
/// [`RootHandle::begin_shutdown`](crate::RootHandle::begin_shutdown) was called. The answer to a readiness probe is its
/// opposite. `false` without a [`Root`](crate::Root), and outside a runtime.
///
/// A shutdown that has begun is not a cancellation: what runs may finish. See [`shutting_down`].
pub fn is_shutting_down() -> bool {
    current().is_some_and(|root| root.is_shutting_down())
}

/// Resolves when the program begins to shut down; at once, if it has. Without a [`Root`](crate::Root): never.
///
/// This is the moment to say "not ready". Work that still comes is to be taken on until the drain begins
/// ([`drain_begins`]); that is the same moment unless the program has a [`pre_drain`](crate::Root::pre_drain) delay. A child that is
/// simply to stop is started with [`until_shutdown`](crate::TaskBuilder::until_shutdown). The idea of a shutdown that
/// comes before the cancellation is that of the graceful-shutdown crates, and of a pod's termination: first no new
/// work, then an end.
///
/// # Cancel safety
///
/// Cancel safe: nothing is lost by dropping it.
///
/// # Examples
///
/// ```
/// #[sc_tokio::main(flavor = "current_thread")]
/// async fn main() {
///     let (work, mut queue) = tokio::sync::mpsc::channel::<u32>(8);
///     let server = sc_tokio::spawn(async move {
///         let mut served = 0;
///         loop {
///             tokio::select! {
///                 biased;
///                 Some(job) = queue.recv() => served += job,
///                 () = sc_tokio::shutting_down() => return served,
///             }
///         }
///     });
///     work.send(7).await.unwrap();
///     sc_tokio::root().begin_shutdown(); // as SIGTERM does
///     assert_eq!(server.await.unwrap(), 7);
/// }
/// ```
pub async fn shutting_down() {
    reached(Latch::has_begun).await;
}

/// Resolves when the drain of the program's shutdown begins: no new work is to be taken on from now on. At once, if it has
/// begun. Without a [`Root`](crate::Root): never.
///
/// For servers that take a future to stop at, as axum's `with_graceful_shutdown` does. It comes
/// [`pre_drain`](crate::Root::pre_drain) after [`shutting_down`]; without such a delay, together with it.
///
/// # Cancel safety
///
/// Cancel safe: nothing is lost by dropping it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// #[sc_tokio::main(flavor = "current_thread", start_paused = true, pre_drain = Duration::from_secs(5))]
/// async fn main() {
///     let began = tokio::time::Instant::now();
///     sc_tokio::root().begin_shutdown();
///     sc_tokio::shutting_down().await; // not ready, and still serving
///     sc_tokio::drain_begins().await;
///     assert_eq!(began.elapsed(), Duration::from_secs(5));
/// }
/// ```
pub async fn drain_begins() {
    reached(Latch::is_draining).await;
}

async fn reached(has_come: fn(&Latch) -> bool) {
    match current() {
        Some(root) => Reached { root, has_come, waiting: Waiting::default() }.await,
        None => std::future::pending().await,
    }
}

struct Reached {
    root: Arc<Node>,
    has_come: fn(&Latch) -> bool,
    waiting: Waiting,
}

impl Future for Reached {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { root, has_come, waiting } = self.get_mut();
        // Every connection of a server asks whenever anything happens to it: under one lock, and without another waker if
        // this one is there already.
        match waiting.is_there(root, cx, |books| has_come(&books.latch)) {
            Some(true) => return Poll::Ready(()),
            Some(false) => return Poll::Pending,
            None => waiting.wait(root, cx),
        }
        // It may have come before we were on the list.
        if has_come(&root.books().latch) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        self.waiting.leave(&self.root);
    }
}

#[cfg(all(test, not(sc_shuttle)))]
mod tests {
    use std::future::pending;

    use crate::{Cancelled, Root, scope};

    fn listed() -> usize {
        let root = super::current().expect("the test has a root");
        let books = root.books();
        books.latch.0.as_ref().map_or(0, |listed| listed.children.len())
    }

    #[tokio::test]
    async fn children_that_ended_are_off_the_list_whatever_ended_them() {
        let program = scope(async |s| {
            let task = || s.task().until_shutdown();
            task().spawn(async { Ok(()) }).await;
            let stopped = task().spawn(pending::<()>());
            let left = task().daemon().spawn(pending::<()>());
            assert_eq!(listed(), 2);
            stopped.cancel().await;
            assert_eq!(listed(), 1);
            drop(left);
            Ok::<_, Cancelled>(())
        });
        let program = async {
            program.await?;
            Ok::<_, Cancelled>(listed())
        };
        assert_eq!(Root::new().run(program).await.into_value().unwrap().unwrap(), 0);
    }
}

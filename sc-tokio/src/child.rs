//! The handle of a child.

mod attributes;
mod blocking;
mod borrowed;
mod builder;
mod claim;
mod limited;
mod output;
mod start;
mod task;
mod wrapped;

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sc_core::{ChildId, ChildKind, Failure, Member, Reason};

pub(crate) use attributes::{Attributes, Extra};
pub use blocking::BlockingCx;
pub(crate) use borrowed::BorrowedTask;
pub use builder::TaskBuilder;
pub(crate) use limited::end_frame;
pub use output::{ChildOutput, FinalizerOutput, Never};
pub(crate) use start::Starting;
pub use start::{Ready, Start, StartError, StartFn, Unsignalled};
pub(crate) use task::{Admitted, ChildTask, Gone, Life};
pub(crate) use {blocking::spawn_blocking, borrowed::spawn_borrowed, borrowed::spawn_plain};
pub(crate) use {blocking::start_blocking, claim::failure_now, claim::poll_failure};

use crate::fault::{self, Fault};
use crate::frame;
use crate::limit;
use crate::node::Node;
use crate::parked::Parked;
use crate::rt::{self, JoinHandle};
use crate::scope::Scope;
use crate::teardown;
use crate::waiting::Waiting;

/// How often a dead child lets itself be polled before it unwinds the frame that keeps on asking.
/// The frame notices after the first poll; only a nested executor, as `block_on`, asks again.
const PATIENCE: u8 = 64;

/// The handle of a child, parallel, borrowed or blocking.
///
/// It cannot leave the block it was spawned in (P2), and a child outlives neither its scope nor
/// its scope's future. There are three ways to use it up:
///
/// - `child.await` gives the value: "I need it; if the child failed, this block ends with its
///   failure." It does not return when the child failed or was cancelled: the frame that awaited
///   (the body, or the child that awaits its sibling) ends instead, at this await.
///   Code that is in no scope at all (a task of Tokio's own, over a child of an
///   [`OwnedScope`](crate::OwnedScope)) panics instead.
/// - [`join`](Self::join) gives a `Result`: it observes, it does not forgive. Under the default
///   policy the scope fails all the same.
/// - [`cancel`](Self::cancel) stops the child, which is not a failure.
///
/// Dropping the handle does nothing: the child goes on, and the scope waits for it. A failure or a
/// value that nobody took is dropped or reported by the scope.
///
/// Against `tokio::task::JoinHandle`: that one outlives everything, detaches on drop, gives a
/// `JoinError` for a panic, and hands errors to whoever remembers to look. Use it, through
/// `tokio::spawn`, for work that is meant to outlive the code that starts it.
///
/// # Cancel safety
///
/// Awaiting by `&mut child` in a `select!` loses nothing: the output stays until it is taken.
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, nursery};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// let sum = nursery!(async |n| {
///     let a = n.spawn(async { Ok(1) });
///     let b = n.spawn(async { Ok(2) });
///     Ok(a.await + b.await)
/// })
/// .await?;
/// assert_eq!(sum, 3);
/// # Ok(())
/// # }
/// ```
///
/// A handle cannot leave the block:
///
/// ```compile_fail
/// # use sc_tokio::{Cancelled, nursery};
/// # async fn f() -> Result<(), Cancelled> {
/// let escaped = nursery!(async |n| { Ok(n.spawn(async { Ok(1) })) }).await?;
/// # Ok(())
/// # }
/// ```
pub struct Child<'n, T, E> {
    scope: &'n Scope<E>,
    place: &'static Location<'static>,
    id: u64,
    kind: ChildKind,
    source: Source<'n, T>,
    polls: u8,
    waiting: Waiting,
}

/// Where the output comes from.
enum Source<'n, T> {
    Task(JoinHandle<Result<T, Gone>>, ParkOutput<T>),
    Slot(Arc<dyn OutputSlot<T> + 'n>),
    /// The child ended, or was refused, without a value.
    Gone(Gone),
    Taken,
}

/// Parks the handle of an output that has a destructor. A function pointer, since only where
/// the child is spawned is it known that the output is `'static`.
type ParkOutput<T> = fn(&Arc<Node>, JoinHandle<Result<T, Gone>>, Option<u64>);

/// Where a borrowed or blocking child leaves its output.
pub(crate) trait OutputSlot<T>: Send + Sync {
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<T, Gone>>;
    fn is_finished(&self) -> bool;
    /// The handle is gone: an output that is there is given back, one to come is dropped by the child.
    fn release(&self) -> Option<Result<T, Gone>>;
    /// What makes the child look at what it was told.
    fn nudge(&self) -> Option<Waker>;
}

impl<'n, T, E> Child<'n, T, E> {
    fn new(
        scope: &'n Scope<E>,
        id: u64,
        kind: ChildKind,
        place: &'static Location<'static>,
        source: Source<'n, T>,
    ) -> Self {
        Self { scope, place, id, kind, source, polls: 0, waiting: Waiting::default() }
    }

    /// The handle of a child that was refused.
    pub(crate) fn gone(scope: &'n Scope<E>, kind: ChildKind, place: &'static Location<'static>, gone: Gone) -> Self {
        Self::new(scope, u64::MAX, kind, place, Source::Gone(gone))
    }

    fn node(&self) -> &'n Arc<Node> {
        self.scope.node()
    }

    fn member(&self) -> Member {
        Member::child(ChildId::new(self.id)).at(self.place)
    }

    /// The child's number within its scope, in spawn order from 0; `None` if it was refused (P7). It is the one that
    /// [`Member::id`] and messages give.
    pub fn id(&self) -> Option<ChildId> {
        (self.id != u64::MAX).then_some(ChildId::new(self.id))
    }

    /// Where in the source it was spawned, refused or not. Messages that name the child name this.
    pub fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// Whether the child has ended, with a value or without, so that awaiting it does not wait. A child that was refused
    /// has; one that was told to stop has not before it is dropped.
    pub fn is_finished(&self) -> bool {
        match &self.source {
            Source::Task(task, _) => task.is_finished(),
            Source::Slot(slot) => slot.is_finished(),
            Source::Gone(_) | Source::Taken => true,
        }
    }

    /// The child's end, without taking an output that is not there.
    #[inline]
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Gone>> {
        let end = match &mut self.source {
            Source::Task(task, _) => match Pin::new(task).poll(cx) {
                Poll::Ready(Ok(end)) => Poll::Ready(end),
                // Aborted before our wrapper could return, or dropped with its runtime.
                Poll::Ready(Err(_)) => Poll::Ready(Err(Gone::Cancelled(None))),
                Poll::Pending => Poll::Pending,
            },
            Source::Slot(slot) => slot.poll_output(cx),
            Source::Gone(gone) => Poll::Ready(Err(gone.clone())),
            Source::Taken => return Poll::Pending,
        };
        match end {
            Poll::Pending => {
                limit::awaits(self.node(), self.id);
                Poll::Pending
            }
            Poll::Ready(Ok(value)) => {
                limit::awaits_no_more(self.node(), self.id);
                self.source = Source::Taken;
                Poll::Ready(Ok(value))
            }
            Poll::Ready(Err(gone)) => {
                limit::awaits_no_more(self.node(), self.id);
                self.source = Source::Gone(gone.clone());
                Poll::Ready(Err(gone))
            }
        }
    }

    /// The failure of a child that gave no value; pending while the policy has yet to decide whose
    /// it is.
    fn poll_failure(&mut self, gone: &Gone, cx: &mut Context<'_>) -> Poll<Fault> {
        claim::poll_failure(self.scope.node(), self.id, gone, &mut self.waiting, cx)
    }

    fn stop(&self) {
        let node = self.node();
        let abort = match &self.source {
            Source::Task(task, _) => Some(task.abort_handle()),
            _ => None,
        };
        let told = node.stop_child(self.id, self.kind.daemon, Reason::Requested, abort.clone(), abort.is_some());
        let Some(due) = told else { return };
        // Everybody looks; that one child is concerned is cheaper to find out by asking.
        match (due, abort) {
            (true, Some(abort)) => abort.abort(),
            (true, None) => {
                node.begin_epoch();
                let nudge = match &self.source {
                    Source::Slot(slot) => slot.nudge(),
                    _ => None,
                };
                crate::wake::wake_all(nudge);
            }
            (false, _) => {
                node.wake_present();
                node.rearm();
            }
        }
    }

    /// Marks the running frame as one that awaited a dead child.
    fn mark(&self, failure: Fault) {
        let node = self.node();
        let failure = Some(failure).filter(|failure| !matches!(failure, Failure::OwnedByScope | Failure::Cancelled(_)));
        // A frame of another scope ends without the error, which stays with its owner.
        let (own, kept) = if frame::is_inside(node) { (failure, None) } else { (None, failure) };
        let unmarked = frame::mark_dead(frame::Dead { failure: own }).err().and_then(|dead| dead.failure);
        for failure in kept.into_iter().chain(unmarked) {
            node.give_back(failure);
        }
    }
}

impl<'n, T, E: Send + 'static> Child<'n, T, E> {
    /// Waits for the end and gives the value or the failure, as a value.
    ///
    /// It observes, it does not forgive: under [`FailFast`](crate::FailFast) a failed child has
    /// failed its scope, and this gives [`Failure::OwnedByScope`] (if the block lives long enough to
    /// see it). Under [`Supervise`](crate::Supervise), or for an `isolated()` child, the failure is
    /// given out here and is nobody else's.
    ///
    /// So one body serves both policies: what it does with a failure it joins matters under
    /// `Supervise`, and under `FailFast` the block ends before it can matter.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the handle; the child goes on.
    pub fn join(self) -> Join<'n, T, E> {
        Join { child: self }
    }

    /// Stops the child: it is cancelled now and, after its grace (its own, else the scope's), dropped at its next await.
    ///
    /// Not a failure. The future that is returned resolves when the child has ended; it may be
    /// dropped.
    ///
    /// # Cancel safety
    ///
    /// The request is made by the call itself, not by polling.
    pub fn cancel(self) -> Stopping<'n, T, E> {
        if !self.is_finished() {
            self.stop();
        }
        Stopping { child: self }
    }
}

impl<T, E: Send + 'static> Future for Child<'_, T, E> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let gone = match std::task::ready!(this.poll_end(cx)) {
            Ok(value) => return Poll::Ready(value),
            Err(gone) => gone,
        };
        // The first time, the mark takes the failure along; after that there is none to claim.
        if this.polls == 0 {
            let failure = std::task::ready!(this.poll_failure(&gone, cx));
            if !frame::is_any() {
                this.panic_unframed(failure);
            }
            this.mark(failure);
        } else {
            let _ = frame::mark_dead(frame::Dead { failure: None });
        }
        stay_dead(&mut this.polls, cx)
    }
}

/// Has a frame end that awaits a dead child, and has been marked.
pub(crate) fn stay_dead<R>(polls: &mut u8, cx: &Context<'_>) -> Poll<R> {
    *polls = polls.saturating_add(1);
    if *polls > PATIENCE {
        frame::unwind_dead();
    }
    // A nested executor would park for ever otherwise.
    cx.waker().wake_by_ref();
    Poll::Pending
}

impl<'n, T: Send + 'static, E> Child<'n, T, E> {
    /// The handle of a parallel child.
    pub(crate) fn task(
        scope: &'n Scope<E>,
        id: u64,
        kind: ChildKind,
        place: &'static Location<'static>,
        task: JoinHandle<Result<T, Gone>>,
    ) -> Self {
        Self::new(scope, id, kind, place, Source::Task(task, park::<T>))
    }
}

impl<T, E> Child<'_, T, E> {
    /// Ends code that belongs to no scope and awaits a dead child: a task of Tokio's own, over a child of
    /// an [`OwnedScope`](crate::OwnedScope). There is no frame to mark, and nobody would ever look.
    #[cold]
    fn panic_unframed(&self, failure: Fault) -> ! {
        let (member, scope) = (self.member(), self.node().origin());
        let why = match failure {
            Failure::Cancelled(cancelled) => cancelled.to_string(),
            Failure::OwnedByScope => "it failed".to_owned(),
            failure => {
                self.node().give_back(failure);
                "it failed".to_owned()
            }
        };
        panic!("{member} of {scope} gave no value: {why}; code outside any scope gets to know with `.join()`")
    }
}

/// Parks a handle whose output is to be dropped before the scope resolves.
fn park<T: Send + 'static>(node: &Arc<Node>, task: JoinHandle<Result<T, Gone>>, daemon: Option<u64>) {
    park_output(node, Box::new(task), daemon);
}

/// Parks what is to be dropped before the scope resolves (P1), of a daemon or of somebody else.
pub(crate) fn park_output(node: &Arc<Node>, output: Box<dyn Parked>, daemon: Option<u64>) {
    let (finished, carrier) = {
        // If the daemon has ended, and its output is about to come, the daemon that drops the handle waits for it (P1).
        let here = frame::current().filter(|here| here.who.is_daemon() && Arc::ptr_eq(&here.node, node));
        let mut books = node.books();
        let mut daemons = daemon.into_iter().chain(here.map(|here| here.who.member()));
        let daemon = daemons.find(|id| books.scope.daemon_scope_opened(ChildId::new(*id)));
        let finished = books.parked.park(output, daemon);
        // Also if it is just about to park.
        books.changed |= books.released;
        (finished, if books.released { books.carrier.take() } else { None })
    };
    let _ = teardown::drop_outputs(node, finished, &mut Context::from_waker(Waker::noop()));
    crate::wake::wake_all(carrier);
}

impl<T, E> Unpin for Child<'_, T, E> {}

impl<T, E> Drop for Child<'_, T, E> {
    #[inline]
    fn drop(&mut self) {
        let node = self.scope.node();
        self.waiting.leave(node);
        if !matches!(self.source, Source::Taken) {
            limit::awaits_no_more(node, self.id);
            self.drop_source();
        }
        if node.handles_matter(self.kind) && !node.is_closed() {
            node.input(|books| books.scope.release(ChildId::new(self.id)));
        }
    }
}

impl<T, E> Child<'_, T, E> {
    fn drop_source(&mut self) {
        match std::mem::replace(&mut self.source, Source::Taken) {
            Source::Task(task, park) => self.drop_task(task, park),
            Source::Slot(slot) => self.drop_output(slot.release()),
            Source::Gone(_) | Source::Taken => {}
        }
    }

    fn drop_task(&self, mut task: JoinHandle<Result<T, Gone>>, park: ParkOutput<T>) {
        if !std::mem::needs_drop::<T>() {
            return;
        }
        // Tokio would swallow the panic of the output's destructor.
        let mut cx = Context::from_waker(Waker::noop());
        match rt::poll_unconstrained(&mut task, &mut cx) {
            Poll::Ready(end) => self.drop_output(end.ok()),
            Poll::Pending => park(self.node(), task, self.kind.daemon.then_some(self.id)),
        }
    }

    /// Drops an output that nobody took. A panic of its destructor is the scope's (P4).
    fn drop_output(&self, output: Option<Result<T, Gone>>) {
        if let Some(panic) = crate::wake::drop_quietly(output) {
            self.node().own_failure(self.member(), panic);
        }
    }
}

impl<T, E> fmt::Debug for Child<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("place", &format_args!("{}", self.place))
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

/// Waits for a child and gives its value or its failure; see [`Child::join`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Join<'n, T, E> {
    child: Child<'n, T, E>,
}

impl<T, E: Send + 'static> Future for Join<'_, T, E> {
    type Output = Result<T, Failure<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match std::task::ready!(self.child.poll_end(cx)) {
            Ok(value) => Poll::Ready(Ok(value)),
            Err(gone) => {
                let fault = std::task::ready!(self.child.poll_failure(&gone, cx));
                Poll::Ready(Err(fault::restore(fault)))
            }
        }
    }
}

/// Resolves when a stopped child has ended; see [`Child::cancel`]. May be dropped.
#[derive(Debug)]
pub struct Stopping<'n, T, E> {
    child: Child<'n, T, E>,
}

impl<T, E> Future for Stopping<'_, T, E> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.child.source, Source::Taken | Source::Gone(_)) {
            return Poll::Ready(());
        }
        let end = std::task::ready!(self.child.poll_end(cx));
        self.child.drop_output(Some(end));
        Poll::Ready(())
    }
}

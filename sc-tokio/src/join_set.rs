//! A set of tasks whose results come in the order in which they end: Tokio's `JoinSet`, with an owner.

mod parked;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Debug};
use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;
use sc_core::{ChildId, ChildKind, Failure, Member, Reason};

use self::parked::park;
use crate::child::{self, Admitted, Attributes, BlockingCx, ChildOutput, ChildTask, Gone};
use crate::fault::{self, Fault};
use crate::frame::Ambient;
use crate::hold::Hold;
use crate::limit::{self, Shelf};
use crate::node::Node;
use crate::rt::{self, AbortHandle, Instant, JoinError, JoinSet};
use crate::scope::Scope;
use crate::waiting::Waiting;

/// A set of tasks that belong to a scope, joined in the order in which they end; made by [`Scope::join_set`].
///
/// Each task is an ordinary child of the scope: it ends with the scope, its failure is judged by the scope's policy, and it
/// runs in a [`tokio::task::JoinSet`]. The methods are those of Tokio's set, with these differences:
///
/// - Items are `Result<T, Failure<E>>`, as [`Child::join`](crate::Child::join) gives them: under
///   [`FailFast`](crate::FailFast) the error of a failed task is the scope's ([`Failure::OwnedByScope`]), under
///   [`Supervise`](crate::Supervise), or in an [`isolated`](Self::isolated) set, the item has it.
/// - Dropping the set stops its tasks, and the scope waits for them; Tokio's does not. Stopping is two-phased: a stopped task
///   has the scope's grace. It is not a failure of the scope (P5).
/// - The set cannot leave its block (P2), and there is no `detach_all`: no task leaves the scope.
/// - `join_all` gives every result and panics for none.
///
/// **Memory.** Results that nobody takes pile up, as in Tokio's set. Under a [`Limit`](crate::Limit) they do not: a task
/// keeps its seat until its result is *taken* (or the set is dropped), so that no more tasks run and no more results
/// wait than there are seats. (A result whose task ran on a lent seat has none.) Over the limit `spawn` queues the
/// future, as [`Scope::spawn`] does. The other side of it: with a set that nobody drains, the seats are taken, and a child
/// that waits for one under the same limit waits for ever.
///
/// Use Tokio's set for tasks that are meant to outlive the code that spawns them; use handles of [`Scope::spawn`] where the
/// order is that of the code and not that of the ends.
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, nursery};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// let sum = nursery!(async |n| {
///     let mut set = n.join_set();
///     for page in 1..=3 {
///         set.spawn(async move { Ok(page) });
///     }
///     let mut sum = 0;
///     while let Some(page) = set.join_next().await {
///         sum += page.unwrap_or(0); // whichever comes first
///     }
///     Ok(sum)
/// })
/// .await?;
/// assert_eq!(sum, 6);
/// # Ok(())
/// # }
/// ```
#[must_use = "a set that is dropped stops its tasks"]
pub struct ScopedJoinSet<'n, T, E> {
    scope: &'n Scope<E>,
    kind: ChildKind,
    inner: JoinSet<(u64, Result<T, Gone>)>,
    /// Those whose results were not taken.
    tasks: BTreeMap<u64, AbortHandle>,
    /// What those are told that the scope refused.
    refused: VecDeque<Gone>,
    /// An ended task whose failure the policy is looking at.
    deciding: Option<(u64, Gone)>,
    waiting: Waiting,
    limited: Option<Box<Limited>>,
    /// The task that is written down as awaited.
    awaited: Option<u64>,
    park: Park<T>,
}

/// Parks what is left of a set that is dropped. A function pointer, since only where the set is made is it known that
/// the outputs are `'static`.
type Park<T> = fn(&Arc<Node>, JoinSet<(u64, Result<T, Gone>)>, Vec<AbortHandle>);

/// What a set needs under a limit.
#[derive(Default)]
struct Limited {
    shelf: Arc<Shelf>,
    /// Tasks that had no seat when they were spawned, and perhaps have one now.
    queued: VecDeque<u64>,
}

impl<E: Debug + Send + 'static> Scope<E> {
    /// Makes an empty set for tasks of this scope that are joined in the order in which they end.
    pub fn join_set<T: Send + 'static>(&self) -> ScopedJoinSet<'_, T, E> {
        ScopedJoinSet {
            scope: self,
            kind: ChildKind::LINKED,
            inner: JoinSet::new(),
            tasks: BTreeMap::new(),
            refused: VecDeque::new(),
            deciding: None,
            waiting: Waiting::default(),
            limited: None,
            awaited: None,
            park: park::<T>,
        }
    }
}

impl<'n, T, E> ScopedJoinSet<'n, T, E> {
    /// Makes tasks that are spawned from here on isolated: their failures are items of the set, and not the scope's.
    ///
    /// An isolated failure that nobody takes goes to the outcome's further failures.
    pub fn isolated(mut self) -> Self {
        self.kind.isolated = true;
        self
    }

    /// How many results are not taken yet: of tasks that run, wait for a seat, or have ended.
    pub fn len(&self) -> usize {
        self.inner.len() + self.refused.len() + usize::from(self.deciding.is_some())
    }

    /// Whether no result is left to be taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stops all tasks: they are cancelled now and, after the scope's grace, dropped at their next await.
    ///
    /// Not a failure. They stay in the set: [`join_next`](Self::join_next) gives [`Failure::Cancelled`] for each that was
    /// cut short. Tokio's `abort_all` knows no grace.
    pub fn abort_all(&mut self) {
        stop(self.scope.node(), self.tasks.iter().map(|(id, task)| (*id, task)));
    }

    fn node(&self) -> &'n Arc<Node> {
        self.scope.node()
    }

    /// Takes an ended task off the books of the set. Gives its number and its end.
    fn taken(&mut self, end: Result<(u64, Result<T, Gone>), JoinError>) -> (u64, Result<T, Gone>) {
        let (id, end) = end.unwrap_or_else(|error| {
            // Dropped with its runtime: everything else ends in our wrapper.
            let found = self.tasks.iter().find(|(_, task)| rt::is_of(&error, task));
            (found.map_or(u64::MAX, |(id, _)| *id), Err(Gone::Cancelled(None)))
        });
        self.tasks.remove(&id);
        if let Some(limited) = &self.limited {
            drop(limited.shelf.take(id));
        }
        (id, end)
    }

    /// Nobody will claim the failure of this task any more.
    fn release(&self, id: u64) {
        let node = self.node();
        if id != u64::MAX && node.handles_matter(self.kind) {
            node.input(|books| books.scope.release(ChildId::new(id)));
        }
    }

    /// A child with a seat that waits here lends it to a task that waits for one, or to somebody below the tasks who does.
    fn await_tasks(&mut self) {
        let node = self.node();
        let id = self.first_queued().unwrap_or(u64::MAX);
        self.awaited = limit::awaits(node, id).then_some(id);
    }

    fn first_queued(&mut self) -> Option<u64> {
        let node = self.node();
        let (limited, limit) = (self.limited.as_mut()?, node.limit()?);
        while limited.queued.front().is_some_and(|id| !limit.is_queued(node, *id)) {
            limited.queued.pop_front();
        }
        limited.queued.front().copied()
    }

    fn await_no_more(&mut self) {
        if let Some(id) = self.awaited.take() {
            limit::awaits_no_more(self.node(), id);
        }
    }

    fn settled(&mut self, id: u64, fault: Fault) -> Failure<E>
    where
        E: Send + 'static,
    {
        self.deciding = None;
        self.waiting.leave(self.scope.node());
        self.release(id);
        fault::restore(fault)
    }
}

impl<'n, T: Send + 'static, E: Debug + Send + 'static> ScopedJoinSet<'n, T, E> {
    /// Spawns a task of the set; as [`Scope::spawn`].
    ///
    /// A cancelled scope refuses it: it is dropped unpolled, and its result says so.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> ScopedAbortHandle<'n, E>
    where
        F: Future + Send + 'static,
        F::Output: ChildOutput<E, Value = T>,
    {
        let place = Location::caller();
        let node = self.node();
        let Some((hold, id, seen)) = node.admit(&self.attributes(place)) else {
            self.refused.push_back(node.refuse(future, place));
            return self.handle(u64::MAX, None);
        };
        let admitted = self.admitted(hold, id, seen, place);
        let task = self.inner.spawn(SetTask { child: ChildTask::<F, E>::new(admitted, future), id });
        self.handle(id, Some(task))
    }

    /// Runs a closure of the set on a blocking thread; as [`Scope::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[track_caller]
    pub fn spawn_blocking<F, O>(&mut self, closure: F) -> ScopedAbortHandle<'n, E>
    where
        F: FnOnce(&BlockingCx) -> O + Send + 'static,
        O: ChildOutput<E, Value = T> + 'static,
    {
        let place = Location::caller();
        let node = self.node();
        let Some((hold, id, seen)) = node.admit(&self.attributes(place)) else {
            self.refused.push_back(node.refuse(closure, place));
            return self.handle(u64::MAX, None);
        };
        let admitted = self.admitted(hold, id, seen, place);
        let slot = child::start_blocking::<F, O, E>(node, closure, admitted);
        // What Tokio's set joins; the child itself is the closure.
        let task = self.inner.spawn(poll_fn(move |cx| slot.poll_output(cx).map(|end| (id, end))));
        self.handle(id, Some(task))
    }

    fn attributes(&self, place: &'static Location<'static>) -> Attributes {
        let mut attributes = Attributes::at(place);
        attributes.kind = self.kind;
        attributes
    }

    fn admitted(&mut self, hold: Hold, id: u64, seen: u64, place: &'static Location<'static>) -> Admitted {
        let mut admitted = self.attributes(place).admitted(self.node(), Ambient::Counted(hold), id, seen);
        if let Some(extra) = &mut admitted.extra {
            let limited = self.limited.get_or_insert_default();
            if extra.seat.as_ref().is_some_and(limit::Seat::is_queued) {
                limited.queued.push_back(id);
            }
            extra.shelf = Some(Arc::clone(&limited.shelf));
        }
        admitted
    }

    fn handle(&mut self, id: u64, task: Option<AbortHandle>) -> ScopedAbortHandle<'n, E> {
        if let Some(task) = &task {
            self.tasks.insert(id, task.clone());
        }
        ScopedAbortHandle { scope: self.scope, id, task }
    }

    /// Waits for the next task to end, and gives its result. `None` if the set is empty.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future loses no result.
    pub async fn join_next(&mut self) -> Option<Result<T, Failure<E>>> {
        let awaiting = Awaiting(self);
        poll_fn(|cx| awaiting.0.poll_join_next(cx)).await
    }

    /// The result of a task that has ended, if there is one.
    pub fn try_join_next(&mut self) -> Option<Result<T, Failure<E>>> {
        loop {
            if let Some((id, gone)) = &self.deciding {
                let id = *id;
                let fault = child::failure_now(self.node(), id, gone)?;
                return Some(Err(self.settled(id, fault)));
            }
            let (id, end) = if let Some(gone) = self.refused.pop_front() {
                (u64::MAX, Err(gone))
            } else {
                let end = self.inner.try_join_next()?;
                self.taken(end)
            };
            match end {
                Ok(value) => {
                    self.release(id);
                    return Some(Ok(value));
                }
                Err(gone) => self.deciding = Some((id, gone)),
            }
        }
    }

    /// Polls for the next task to end. Ready with `None` if the set is empty.
    ///
    /// As with Tokio's set, only the waker of the last call is woken.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Failure<E>>>> {
        self.await_no_more();
        loop {
            if let Some((id, gone)) = &self.deciding {
                let id = *id;
                let fault = std::task::ready!(child::poll_failure(self.node(), id, gone, &mut self.waiting, cx));
                return Poll::Ready(Some(Err(self.settled(id, fault))));
            }
            let (id, end) = match self.refused.pop_front() {
                Some(gone) => (u64::MAX, Err(gone)),
                None => match self.inner.poll_join_next(cx) {
                    Poll::Ready(Some(end)) => self.taken(end),
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => {
                        self.await_tasks();
                        return Poll::Pending;
                    }
                },
            };
            match end {
                Ok(value) => {
                    self.release(id);
                    return Poll::Ready(Some(Ok(value)));
                }
                Err(gone) => self.deciding = Some((id, gone)),
            }
        }
    }

    /// Waits for all tasks, and gives their results in the order in which they ended.
    ///
    /// Tokio's `join_all` gives the values, and panics if there is none for a task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the set: its tasks are stopped, and results that were taken are lost.
    pub async fn join_all(mut self) -> Vec<Result<T, Failure<E>>> {
        let mut results = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            results.push(result);
        }
        results
    }

    /// Stops all tasks, waits for their ends, and drops their results.
    ///
    /// A failure that the scope has not taken goes to the outcome's further failures (P4).
    ///
    /// # Cancel safety
    ///
    /// The stop is made at the first poll. If the future is dropped, what has not ended stays in the set.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        poll_fn(|cx| self.poll_discard(cx)).await;
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.refused.clear();
        if let Some((id, _)) = self.deciding.take() {
            self.release(id);
        }
        while let Some(end) = std::task::ready!(self.inner.poll_join_next(cx)) {
            let (id, end) = self.taken(end);
            self.release(id);
            discard(self.node(), id, end);
        }
        Poll::Ready(())
    }
}

/// Drops an output that nobody wants. A panic of its destructor is the scope's (P4).
fn discard<T>(node: &Arc<Node>, id: u64, output: Result<T, Gone>) {
    if let Some(panic) = crate::wake::drop_quietly(output) {
        node.own_failure(Member::child(ChildId::new(id)), panic);
    }
}

/// Tells tasks to stop, and has them look.
fn stop<'a>(node: &Arc<Node>, tasks: impl Iterator<Item = (u64, &'a AbortHandle)>) {
    let now = Instant::now();
    let mut told = Vec::new();
    {
        let mut books = node.books();
        for (id, task) in tasks.filter(|(_, task)| !task.is_finished()) {
            told.extend(books.stop_one(id, false, Reason::Requested, (Some(task.clone()), false), now));
        }
    }
    // What comes too late is dropped without the lock.
    if !told.is_empty() {
        node.wake_present();
        node.rearm();
    }
}

impl<T: Send + 'static, E: Debug + Send + 'static> Stream for ScopedJoinSet<'_, T, E> {
    type Item = Result<T, Failure<E>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_join_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), None)
    }
}

impl<T, E> Unpin for ScopedJoinSet<'_, T, E> {}

impl<T, E> Drop for ScopedJoinSet<'_, T, E> {
    fn drop(&mut self) {
        self.await_no_more();
        self.waiting.leave(self.scope.node());
        if let Some((id, _)) = self.deciding.take() {
            self.release(id);
        }
        // Before the seats are given up: none of ours is to begin with one of them.
        self.abort_all();
        if let Some(limited) = self.limited.take() {
            drop(limited.shelf.close());
        }
        if self.inner.is_empty() {
            return;
        }
        for id in self.tasks.keys() {
            self.release(*id);
        }
        let tasks = std::mem::take(&mut self.tasks).into_values().collect();
        (self.park)(self.scope.node(), std::mem::take(&mut self.inner), tasks);
    }
}

impl<T, E> Debug for ScopedJoinSet<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinSet").field("scope", &self.scope.id()).field("len", &self.len()).finish()
    }
}

/// Somebody waits for the next result; what is dropped when they do not any more.
struct Awaiting<'s, 'n, T, E>(&'s mut ScopedJoinSet<'n, T, E>);

impl<T, E> Drop for Awaiting<'_, '_, T, E> {
    fn drop(&mut self) {
        self.0.await_no_more();
    }
}

pin_project! {
    /// A task of a set: a child, and which one it was.
    struct SetTask<C> {
        #[pin]
        child: C,
        id: u64,
    }
}

impl<C: Future> Future for SetTask<C> {
    type Output = (u64, C::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.child.poll(cx).map(|end| (*this.id, end))
    }
}

/// Stops one task of a [`ScopedJoinSet`]; what its `spawn` methods give.
///
/// The like of [`tokio::task::AbortHandle`], except that the task has its scope's grace, and that the handle cannot leave the
/// block. Dropping it does nothing.
pub struct ScopedAbortHandle<'n, E> {
    scope: &'n Scope<E>,
    id: u64,
    /// `None`: it was refused.
    task: Option<AbortHandle>,
}

impl<E> ScopedAbortHandle<'_, E> {
    /// Stops the task: it is cancelled now and, after the scope's grace, dropped at its next await. Not a failure.
    pub fn abort(&self) {
        stop(self.scope.node(), self.task.iter().map(|task| (self.id, task)));
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(AbortHandle::is_finished)
    }

    /// The child's number within its scope, in spawn order; `None` if it was refused.
    pub fn id(&self) -> Option<ChildId> {
        self.task.is_some().then_some(ChildId::new(self.id))
    }
}

impl<E> Clone for ScopedAbortHandle<'_, E> {
    fn clone(&self) -> Self {
        Self { scope: self.scope, id: self.id, task: self.task.clone() }
    }
}

impl<E> Debug for ScopedAbortHandle<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedAbortHandle").field("id", &self.id()).field("is_finished", &self.is_finished()).finish()
    }
}

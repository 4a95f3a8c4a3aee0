//! Blocking children: closures on Tokio's blocking threads.
//!
//! A closure that runs cannot be stopped from outside; it is told, waited for and named (P9). One
//! that still waits for a thread can be: it lies in a cell which the cancellation empties, so that
//! its captures are dropped at once and not when a thread comes free.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sc_core::{Cancelled, End, Failure, Member};

use super::task::Life;
use super::{Admitted, Child, ChildOutput, Gone, OutputSlot, Source};
use crate::fault::BoxedError;
use crate::frame::Ran;
use crate::node::{Node, Status};
use crate::rt::{self, Handle, Instant, Mutex, lock};
use crate::scope::Scope;
use crate::wake::wake_all;

/// What blocking code can ask about its scope.
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, nursery};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// let sum = nursery!(async |n| {
///     let sum = n.spawn_blocking(|cx| {
///         let mut sum = 0_u64;
///         for i in 0..1_000 {
///             cx.check()?; // leaves the loop once the scope is cancelled
///             sum += i;
///         }
///         Ok::<_, Cancelled>(sum)
///     });
///     Ok(sum.await)
/// })
/// .await?;
/// assert_eq!(sum, 499_500);
/// # Ok(())
/// # }
/// ```
pub struct BlockingCx {
    node: Arc<Node>,
    id: u64,
    daemon: bool,
    /// The child's own, counted from its start.
    deadline: Option<OwnDeadline>,
}

struct OwnDeadline {
    at: Instant,
    budget: Duration,
    child: Member,
}

impl BlockingCx {
    fn of(life: &mut Life) -> Self {
        let deadline = life.take_timeout().and_then(|(budget, child)| {
            // Too far to be an instant is as good as none.
            Some(OwnDeadline { at: Instant::now().checked_add(budget)?, budget, child })
        });
        Self { node: Arc::clone(life.node()), id: life.id(), daemon: life.is_daemon(), deadline }
    }

    /// Whether this child has been cancelled, or its own [`timeout`](crate::TaskBuilder::timeout) has passed.
    pub fn is_cancelled(&self) -> bool {
        self.check().is_err()
    }

    /// `Err` once this child has been cancelled, or its own [`timeout`](crate::TaskBuilder::timeout) has passed. Call it
    /// wherever the work can stop.
    ///
    /// # Errors
    ///
    /// The notice of the cancellation.
    pub fn check(&self) -> Result<(), Cancelled> {
        match self.node.status(self.id, self.daemon) {
            Status::Told(cancelled, _) | Status::Stop(cancelled, _) => Err(cancelled),
            Status::Run => match &self.deadline {
                Some(OwnDeadline { at, budget, child }) if *at <= Instant::now() => {
                    Err(self.node.books().scope.notice_of_deadline(child.clone(), *budget))
                }
                _ => Ok(()),
            },
        }
    }

    /// What is left until the deadline that holds, the child's own included; `None` without one, zero once it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        let own = self.deadline.as_ref().map(|own| own.at.saturating_duration_since(Instant::now()));
        [self.node.remaining(), own].into_iter().flatten().min()
    }
}

impl fmt::Debug for BlockingCx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingCx").field("scope", &self.node.id()).field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a blocking child, its handle and its canceller share.
struct Cell<F, O, E>
where
    O: ChildOutput<E>,
{
    runtime: Handle,
    state: Mutex<State<F, O::Value>>,
    types: PhantomData<fn() -> (O, E)>,
}

struct State<F, T> {
    /// Still waits for a thread, or for a seat under the scope's limit.
    queued: Option<(F, Life)>,
    /// Waits for a thread; before that, for a seat.
    handed_over: bool,
    end: Option<Result<T, Gone>>,
    joiner: Option<Waker>,
    ended: bool,
    handle_gone: bool,
}

impl<F, O, E> Cell<F, O, E>
where
    F: FnOnce(&BlockingCx) -> O,
    O: ChildOutput<E>,
    E: Debug + Send + 'static,
{
    /// Takes the closure out of the queue, if it is still there and is to stop.
    fn stop_queued(&self) {
        let queued = {
            let mut state = lock(&self.state);
            let stop = state.queued.as_ref().is_some_and(|(_, life)| life.is_told());
            if stop { state.queued.take() } else { None }
        };
        if let Some((closure, life)) = queued {
            self.end_unrun(closure, life);
        }
    }

    /// Puts the waker back that a wake-up took; what woke us may have concerned somebody else.
    fn relist(&self, waker: Waker) {
        let state = lock(&self.state);
        let old = state.queued.as_ref().map(|(_, life)| life.renew(waker));
        drop(state);
        drop(old);
    }

    /// Runs on the blocking thread.
    fn run(&self) {
        let queued = lock(&self.state).queued.take();
        let Some((closure, mut life)) = queued else { return };
        if life.is_told() {
            return self.end_unrun(closure, life);
        }
        let cx = BlockingCx::of(&mut life);
        let (ran, dead) = life.run(|| closure(&cx));
        life.give_back(dead);
        life.end_opened();
        let (end, result) = match ran {
            Ran::Done(output) => match output.into_result() {
                Ok(value) => (End::Value, Ok(value)),
                Err(error) => (End::Failed(Failure::Error(Box::new(error) as BoxedError)), Err(Gone::Failed)),
            },
            Ran::Panicked(panic) => (End::Failed(Failure::Panic(panic)), Err(Gone::Failed)),
            Ran::DeadChild => (End::AwaitedDead, Err(Gone::AwaitedDead)),
        };
        life.record(end, None);
        self.deliver(result, life);
    }

    /// Whether the closure may be handed to a thread now.
    fn is_seated(&self, waker: &Waker) -> bool {
        let mut state = lock(&self.state);
        let State { queued, handed_over, .. } = &mut *state;
        let Some((_, life)) = queued.as_mut().filter(|_| !*handed_over) else { return false };
        *handed_over = life.poll_seated(waker);
        *handed_over
    }

    /// Ends a closure that never ran: stopped in the queue, or dropped with its runtime.
    fn end_unrun(&self, closure: F, mut life: Life) {
        let (end, gone) = life.end_from_outside();
        let destructor = life.drop_code(|| drop(closure));
        life.record(end, destructor);
        self.deliver(Err(gone), life);
    }

    /// The exit is recorded; now the output finds its owner, and the hold is released last (P1).
    fn deliver(&self, end: Result<O::Value, Gone>, mut life: Life) {
        let (joiner, unread) = {
            let mut state = lock(&self.state);
            state.ended = true;
            let unread = if state.handle_gone { Some(end) } else { state.end.replace(end) };
            (state.joiner.take(), unread)
        };
        let (ran, dead) = life.run(|| drop(unread));
        life.give_back(dead);
        if let Some(panic) = ran.into_panic() {
            life.node().own_failure(life.member(), panic);
        }
        life.release();
        wake_all(joiner);
    }
}

/// The waker that the scope keeps for a queued closure: to be woken is to be told to look.
impl<F, O, E> Wake for Cell<F, O, E>
where
    F: FnOnce(&BlockingCx) -> O + Send + 'static,
    O: ChildOutput<E> + 'static,
    O::Value: Send + 'static,
    E: Debug + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        self.relist(waker.clone());
        self.stop_queued();
        if self.is_seated(&waker) {
            let runtime = self.runtime.clone();
            let shell = Shell(self);
            // Without its handle: what the closure gives lies in the cell.
            drop(rt::spawn_blocking_on(&runtime, || shell.run()));
        }
    }
}

impl<F, O, E> OutputSlot<O::Value> for Cell<F, O, E>
where
    F: FnOnce(&BlockingCx) -> O + Send + 'static,
    O: ChildOutput<E> + 'static,
    O::Value: Send + 'static,
    E: Debug + Send + 'static,
{
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<O::Value, Gone>> {
        let waker = cx.waker().clone();
        let mut state = lock(&self.state);
        if let Some(end) = state.end.take() {
            return Poll::Ready(end);
        }
        let old = state.joiner.replace(waker);
        drop(state);
        drop(old);
        Poll::Pending
    }

    fn is_finished(&self) -> bool {
        lock(&self.state).ended
    }

    fn release(&self) -> Option<Result<O::Value, Gone>> {
        let mut state = lock(&self.state);
        state.handle_gone = true;
        state.end.take()
    }

    fn nudge(&self) -> Option<Waker> {
        self.stop_queued();
        None
    }
}

/// What Tokio's blocking pool runs, or drops unrun when its runtime ends.
struct Shell<F, O, E>(Arc<Cell<F, O, E>>)
where
    F: FnOnce(&BlockingCx) -> O,
    O: ChildOutput<E>,
    E: Debug + Send + 'static;

impl<F, O, E> Drop for Shell<F, O, E>
where
    F: FnOnce(&BlockingCx) -> O,
    O: ChildOutput<E>,
    E: Debug + Send + 'static,
{
    fn drop(&mut self) {
        let queued = lock(&self.0.state).queued.take();
        if let Some((closure, life)) = queued {
            self.0.end_unrun(closure, life);
        }
    }
}

impl<F, O, E> Shell<F, O, E>
where
    F: FnOnce(&BlockingCx) -> O,
    O: ChildOutput<E>,
    E: Debug + Send + 'static,
{
    fn run(self) {
        self.0.run();
    }
}

/// Starts a blocking child.
pub(crate) fn spawn_blocking<F, O, E>(scope: &Scope<E>, closure: F, admitted: Admitted) -> Child<'_, O::Value, E>
where
    F: FnOnce(&BlockingCx) -> O + Send + 'static,
    O: ChildOutput<E> + 'static,
    O::Value: Send + 'static,
    E: Debug + Send + 'static,
{
    let (id, kind, place) = (admitted.id, admitted.kind, admitted.label.place);
    let slot = start_blocking::<F, O, E>(scope.node(), closure, admitted);
    Child::new(scope, id, kind, place, Source::Slot(slot))
}

/// Starts a blocking child. Gives the place where it leaves its output.
pub(crate) fn start_blocking<F, O, E>(node: &Arc<Node>, closure: F, admitted: Admitted) -> Arc<dyn OutputSlot<O::Value>>
where
    F: FnOnce(&BlockingCx) -> O + Send + 'static,
    O: ChildOutput<E> + 'static,
    O::Value: Send + 'static,
    E: Debug + Send + 'static,
{
    let state = State { queued: None, handed_over: false, end: None, joiner: None, ended: false, handle_gone: false };
    let runtime = Handle::current();
    let cell = Arc::new(Cell::<F, O, E> { runtime, state: Mutex::new(state), types: PhantomData });
    let mut life = Life::new(admitted);
    // Known from the start: it may wait long for a thread.
    life.enter_as(&Waker::from(Arc::clone(&cell)));
    node.books().wakes_at_once = true;
    lock(&cell.state).queued = Some((closure, life));
    // It may have been told to stop in between, when there was nothing to take out; and it may have a seat.
    Arc::clone(&cell).wake();
    cell
}

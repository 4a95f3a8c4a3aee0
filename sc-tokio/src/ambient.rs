//! The drop-in: `tokio::spawn`'s signature and handle, owned by the nearest enclosing scope.

mod context;
mod task;

use std::future::pending;
use std::panic::Location;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use sc_core::ChildKind;

pub use context::{Current, cancelled, checkpoint, current, deadline, is_cancelled, remaining, timeout, timeout_at};
use task::AmbientTask;
pub(crate) use task::AmbientTasks;

use crate::child::{Admitted, Extra};
use crate::events::{self, Notice};
use crate::frame::{self, Ambient};
use crate::node::{Node, REFUSING};
use crate::present::Label;
use crate::root;
use crate::rt::{self, Handle, JoinHandle};
use crate::values::{self, Within};
use crate::wake::{drop_quietly, refuse_in_turn};

/// Spawns a task, like `tokio::spawn`, with an owner: the nearest enclosing scope.
///
/// Signature, bounds and handle are exactly Tokio's, so that replacing the path is all there is to
/// do. The scope waits for the task and stops it when it is cancelled; the handle then gives a
/// `JoinError` that is cancelled, as after `abort`. A panic is a failure of the scope, judged by
/// its policy, and the payload stays in the handle; an `Err` in the output belongs to whoever holds
/// the handle, as with Tokio. Outside any scope the owner is the runtime's root, and the task runs as
/// it would with Tokio.
///
/// In a scope that is cancelled or draining, the task is refused: its future is dropped unpolled and the
/// handle gives a `JoinError` that is cancelled.
///
/// Use `n.spawn` where a nursery is at hand: it hands errors to the scope and cannot be held after
/// the scope's end.
///
/// # Panics
///
/// Outside a Tokio runtime.
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, nursery};
///
/// async fn handle_connection() {
///     sc_tokio::spawn(async { /* cannot outlive the scope around the call */ });
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// nursery!(async |_n| { handle_connection().await; Ok(()) }).await
/// # }
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let place = Location::caller();
    match owner() {
        Some(owner) => spawn_into(&owner, future, place),
        // Not on a runtime: Tokio says so.
        None => rt::spawn(future),
    }
}

/// Runs a closure on a blocking thread, like `tokio::task::spawn_blocking`, owned by the nearest
/// enclosing scope.
///
/// The scope waits for a closure that runs; one that still waits for a thread when the scope is
/// cancelled is dropped at once. (Its handle then says "cancelled" when a thread comes free; if one does
/// in that very moment, it says "panicked".) See [`spawn`] for the rest.
///
/// # Panics
///
/// Outside a Tokio runtime.
#[track_caller]
pub fn spawn_blocking<F, R>(closure: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let place = Location::caller();
    let Some(owner) = owner() else { return rt::spawn_blocking(closure) };
    match owner.admit_ambient(place) {
        Some(admitted) => task::spawn_blocking(&owner, closure, admitted),
        None => refuse(&owner, closure, place),
    }
}

/// Spawns a task that is not `Send` on the current `LocalSet`, like `tokio::task::spawn_local`,
/// owned by the nearest enclosing scope. See [`spawn`].
///
/// # Panics
///
/// Outside a `LocalSet`.
#[cfg(not(sc_shuttle))]
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let place = Location::caller();
    // A `LocalSet` can be polled without a runtime.
    let Some(owner) = owner() else { return tokio::task::spawn_local(future) };
    let Some(admitted) = owner.admit_ambient(place) else {
        refuse_code(&owner, future, place);
        let task = tokio::task::spawn_local(pending());
        task.abort();
        return task;
    };
    let id = admitted.id;
    let task = tokio::task::spawn_local(AmbientTask::new(admitted, future));
    owner.own_task(id, &task, place);
    task
}

/// Spawns a task that goes on for up to `limit` after its scope was cancelled or dropped: a side
/// effect that, once begun, should be finished.
///
/// It stays attached: the scope does not resolve before the task has ended. Inside it, nothing of
/// the scope's cancellation and deadline is seen.
///
/// # Panics
///
/// Outside a Tokio runtime.
#[track_caller]
pub fn spawn_shielded<F>(limit: Duration, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let place = Location::caller();
    let Some(owner) = owner() else { return rt::spawn(future) };
    let Some(admitted) = owner.admit_ambient(place) else { return refuse(&owner, future, place) };
    let itself = Arc::new(OnceLock::new());
    let code = task::shielded(limit, future, Arc::clone(&itself), place);
    let task = rt::spawn(AmbientTask::shielded(admitted, code));
    // The scope's stop does not abort it; when its time is over it aborts itself.
    let _ = itself.set(task.abort_handle());
    owner.books().ambient.push_shielded(task.abort_handle(), place);
    task
}

/// Spawns a task that belongs to nobody: `tokio::spawn` by a name that can be searched for.
///
/// `why` is for the reader of the code and of [`tree`](crate::tree), which counts and lists such tasks.
///
/// # Panics
///
/// Outside a Tokio runtime.
#[track_caller]
pub fn spawn_detached<F>(why: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let listed = root::Detached::list(why, Location::caller());
    rt::spawn(Within::nothing(async move {
        let _listed = listed;
        future.await
    }))
}

/// The scope that owns what is spawned here.
fn owner() -> Option<Arc<Node>> {
    frame::current().map(|opener| opener.node).or_else(root::current)
}

/// Spawns a task into this scope.
#[track_caller]
pub(crate) fn spawn_into<F>(owner: &Arc<Node>, future: F, place: &'static Location<'static>) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let Some(admitted) = owner.admit_ambient(place) else { return refuse(owner, future, place) };
    let id = admitted.id;
    let task = rt::spawn(AmbientTask::new(admitted, future));
    owner.own_task(id, &task, place);
    task
}

/// Runs what has to run though its scope has ended, as a task of the root's that no cancellation stops. Gives it back if
/// the root has ended, too.
pub(crate) fn run_late<F>(runtime: &Handle, future: F, place: &'static Location<'static>) -> Result<(), F>
where
    F: Future<Output = ()> + Send + 'static,
{
    let _entered = rt::enter(runtime);
    let Some(owner) = root::current() else { return Err(future) };
    let Some(admitted) = owner.admit_ambient(place) else { return Err(future) };
    let task = rt::spawn(AmbientTask::shielded(admitted, future));
    owner.books().ambient.push_shielded(task.abort_handle(), place);
    Ok(())
}

/// A task that was refused (P7): its code is dropped unpolled. Only Tokio can make the `JoinError`
/// that its handle has to give, so it aborts a task that does nothing. (Aborting the real one after spawning it
/// would let it run in some schedules.)
fn refuse<R: Send + 'static>(
    owner: &Arc<Node>,
    code: impl Sized + 'static,
    place: &'static Location<'static>,
) -> JoinHandle<R> {
    refuse_code(owner, code, place);
    let task = rt::spawn(pending());
    task.abort();
    task
}

fn refuse_code(owner: &Arc<Node>, code: impl Sized + 'static, place: &'static Location<'static>) {
    owner.books().scope.note_refused();
    events::say(&Notice::Refused { origin: owner.origin().clone(), place });
    let owner = Arc::clone(owner);
    refuse_in_turn(move || {
        if let Some(panic) = drop_quietly(code) {
            owner.own_failure(sc_core::Member::some_child().at(place), panic);
        }
    });
}

impl Node {
    fn admit_ambient(&self, place: &'static Location<'static>) -> Option<Admitted> {
        let ambient = Ambient::Counted(self.hold()?);
        let seen = self.word();
        if seen & REFUSING != 0 {
            return None;
        }
        let id = self.next_child();
        let extra = Extra::new(None, values::inherited());
        Some(Admitted { ambient, id, seen, kind: ChildKind::LINKED, label: Label { place, name: None }, extra })
    }

    /// Keeps what stops a task. If the scope was stopped in between, the task is.
    fn own_task<R>(&self, id: u64, task: &JoinHandle<R>, place: &'static Location<'static>) {
        let abort = task.abort_handle();
        let refused = {
            let mut books = self.books();
            let stopped = books.scope.is_stopped() || books.stops.told(id, false).is_some_and(|told| told.due);
            // One that has opened a shield meanwhile is aborted at its end, as those on the list are.
            if stopped && !books.shielded.has(id) {
                Some(books.ambient.aborts(id, abort))
            } else {
                books.ambient.push(id, abort, place);
                None
            }
        };
        if let Some(abort) = refused {
            abort.abort();
        }
    }

    /// Where the ambient tasks were spawned, and the scopes opened that are in no frame: those that
    /// belong to a value count if something lives in them.
    pub(crate) fn places(&self) -> Vec<&'static Location<'static>> {
        let (mut places, owned) = {
            let books = self.books();
            let mut places = books.ambient.places();
            let at_top = books.nested.iter().filter(|below| below.at_top);
            places.extend(at_top.map(|below| below.node.origin().place()));
            let owned = books.nested.iter().filter(|below| below.owned).map(|below| Arc::clone(&below.node));
            (places, owned.collect::<Vec<_>>())
        };
        let alive = owned.iter().filter(|node| node.living_children() > 0 || node.books().nested.holds() > 0);
        places.extend(alive.map(|node| node.origin().place()));
        places
    }
}

/// Lets others run, without Tokio's help.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

//! The wrapper around the code of an ambient task.
//!
//! Its output, or its panic, goes to a handle of Tokio's own, and only Tokio can make that handle say
//! "cancelled". So an ambient task is stopped by aborting it: Tokio drops the wrapper, whose destructor drops
//! the code as the task's frame, records the exit, and releases the hold.

use std::any::Any;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;
use sc_core::{Cancelled, DeadChild, End, Failure, FailureRecord, Member, Panic};

use crate::child::{Admitted, Life};
use crate::drive;
use crate::fault::{BoxedError, Fault};
use crate::frame::Ran;
use crate::lazy::Lazy;
use crate::node::Node;
use crate::nursery::Nursery;
use crate::open::{Options, Setup};
use crate::rt::{self, AbortHandle, JoinHandle, Mutex, lock};
use crate::wake::discard;

/// What stops the ambient tasks of a scope, and where they were spawned.
#[derive(Debug, Default)]
pub(crate) struct AmbientTasks(Lazy<Handles>);

#[derive(Debug, Default)]
struct Handles {
    tasks: Vec<(u64, AbortHandle, &'static Location<'static>)>,
    sweep_at: usize,
    /// Those that no stop of the scope aborts: here for [`places`](Self::places) only.
    shielded: Vec<(AbortHandle, &'static Location<'static>)>,
    sweep_shielded_at: usize,
    /// Those that a stop has aborted, or is about to: what they do from here on does not come to its end.
    aborted: BTreeMap<u64, AbortHandle>,
    sweep_aborted_at: usize,
}

impl AmbientTasks {
    /// Keeps one. Finished ones are swept in proportion to those that live (P11).
    pub(crate) fn push(&mut self, id: u64, abort: AbortHandle, place: &'static Location<'static>) {
        let Handles { tasks, sweep_at, .. } = self.0.make();
        if tasks.len() >= (*sweep_at).max(64) {
            tasks.retain(|(_, task, _)| !task.is_finished());
            *sweep_at = tasks.len() * 2;
        }
        tasks.push((id, abort, place));
    }

    /// Keeps a shielded one.
    pub(crate) fn push_shielded(&mut self, task: AbortHandle, place: &'static Location<'static>) {
        let Handles { shielded, sweep_shielded_at, .. } = self.0.make();
        if shielded.len() >= (*sweep_shielded_at).max(64) {
            shielded.retain(|(task, _)| !task.is_finished());
            *sweep_shielded_at = shielded.len() * 2;
        }
        shielded.push((task, place));
    }

    pub(crate) fn take_one(&mut self, id: u64) -> Option<AbortHandle> {
        let Handles { tasks, .. } = self.0.get_mut()?;
        let index = tasks.iter().position(|(task, ..)| *task == id)?;
        let task = tasks.swap_remove(index).1;
        Some(self.aborts(id, task))
    }

    /// Writes down that one is about to be aborted.
    pub(crate) fn aborts(&mut self, id: u64, task: AbortHandle) -> AbortHandle {
        let Handles { aborted, sweep_aborted_at, .. } = self.0.make();
        if aborted.len() >= (*sweep_aborted_at).max(64) {
            aborted.retain(|_, task| !task.is_finished());
            *sweep_aborted_at = aborted.len() * 2;
        }
        aborted.insert(id, task.clone());
        task
    }

    pub(crate) fn is_aborted(&self, id: u64) -> bool {
        self.0.get().is_some_and(|tasks| tasks.aborted.contains_key(&id))
    }

    /// Takes those for which this holds.
    pub(crate) fn take_if(&mut self, told: impl Fn(u64) -> bool) -> Vec<AbortHandle> {
        let Some(Handles { tasks, .. }) = self.0.get_mut() else { return Vec::new() };
        let (taken, left) = std::mem::take(tasks).into_iter().partition(|(id, ..)| told(*id));
        *tasks = left;
        let taken: Vec<(u64, AbortHandle, _)> = taken;
        taken.into_iter().map(|(id, task, _)| self.aborts(id, task)).collect()
    }

    /// Where those that live were spawned.
    pub(crate) fn places(&self) -> Vec<&'static Location<'static>> {
        let Some(Handles { tasks, shielded, .. }) = self.0.get() else { return Vec::new() };
        let tasks = tasks.iter().map(|(_, task, place)| (task, *place));
        let shielded = shielded.iter().map(|(task, place)| (task, *place));
        tasks.chain(shielded).filter(|(task, _)| !task.is_finished()).map(|(_, place)| place).collect()
    }
}

pin_project! {
    /// See the module.
    pub(crate) struct AmbientTask<F> {
        #[pin]
        code: Option<F>,
        life: Life,
        ended: bool,
        // It ends in its own time, whatever its scope was told.
        shielded: bool,
    }

    impl<F> PinnedDrop for AmbientTask<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !*this.ended {
                let (end, gone) = this.life.end_by_user();
                this.life.hand_down(&gone);
                let destructor = this.life.drop_code(|| this.code.set(None));
                let (told, payload) = destructor.map(split).unzip();
                end_life(this.life, end, told);
                hand_to_tokio(payload);
            }
        }
    }
}

impl<F> AmbientTask<F> {
    pub(super) fn new(admitted: Admitted, code: F) -> Self {
        Self { code: Some(code), life: Life::new(admitted), ended: false, shielded: false }
    }

    pub(super) fn shielded(admitted: Admitted, code: F) -> Self {
        Self { code: Some(code), life: Life::new(admitted), ended: false, shielded: true }
    }
}

impl<F: Future> Future for AmbientTask<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        this.life.look_for_orders();
        if !*this.shielded && this.life.is_to_stop() {
            // The abort that makes our handle say so is on its way.
            return Poll::Pending;
        }
        let mut output = None;
        let (ran, dead) = this.life.run(|| {
            let code = this.code.as_mut().as_pin_mut().expect("a task is not polled after its end");
            if let Poll::Ready(ready) = code.poll(cx) {
                output = Some(ready);
                this.code.set(None);
            }
        });
        this.life.give_back(dead);
        if let Some(output) = output {
            this.life.end_opened();
            *this.ended = true;
            end_life(this.life, End::Value, ran.into_panic());
            return Poll::Ready(output);
        }
        let panic = match ran {
            Ran::Done(()) => {
                this.life.enter_as(cx.waker());
                return Poll::Pending;
            }
            Ran::Panicked(panic) => panic,
            // No handle of a child reaches a `'static` task, but the failure of one does.
            Ran::DeadChild => DeadChild::into_panic(),
        };
        let destructor = this.life.drop_code(|| this.code.set(None));
        let (told, payload) = split(panic);
        *this.ended = true;
        end_life(this.life, End::Failed(Failure::Panic(told)), destructor);
        std::panic::resume_unwind(payload)
    }
}

/// As with a task of its own, the panic of a destructor ends in Tokio's handle. A second panic would end the process.
fn hand_to_tokio(payload: Option<Box<dyn Any + Send>>) {
    match payload {
        Some(payload) if std::thread::panicking() => discard(payload),
        Some(payload) => std::panic::resume_unwind(payload),
        None => {}
    }
}

/// The payload stays in the handle; the scope gets the message.
fn split(panic: Panic) -> (Panic, Box<dyn Any + Send>) {
    let message: Box<dyn Any + Send> = match panic.message() {
        Some(message) => Box::new(message.to_owned()),
        None => Box::new("a panic whose payload, which is not text, is in the task's handle"),
    };
    (Panic::new(message), panic.into_payload())
}

/// Records the exit and releases the hold. What fails in a root is told to the hook at once: the
/// program's outcome comes too late for it, if there is one.
fn end_life(life: &mut Life, end: End<BoxedError>, destructor: Option<Panic>) {
    if life.node().tells_at_once() {
        let (end, failed) = match end {
            End::Failed(failure) => (End::Value, Some(failure)),
            end => (end, None),
        };
        let member = life.member();
        for failure in failed.into_iter().chain(destructor.map(Failure::Panic)) {
            note_late(life.node(), &member, &failure);
            crate::hook::unhandled(life.node().origin(), FailureRecord { member: member.clone(), failure });
        }
        life.record(end, None);
    } else {
        life.record(end, destructor);
    }
    life.release();
}

/// What fails when the main function has returned is told to whoever ran that, too: nobody is left to read a handle.
fn note_late(root: &Arc<Node>, member: &Member, failure: &Fault) {
    let Failure::Panic(panic) = failure else { return };
    let mut books = root.books();
    if let Some(late) = books.failed_late.as_mut().filter(|late| late.len() < sc_core::FAILURES_KEPT) {
        late.push(format!("{member} {panic}"));
    }
}

/// A closure that waits for a blocking thread, or is taken out of its queue.
struct Queued<F>(Mutex<Option<(F, Life)>>);

impl<F> Queued<F> {
    fn take(&self) -> Option<(F, Life)> {
        lock(&self.0).take()
    }

    /// Gives the payload of a panic of the closure's destructor.
    fn end_unrun(&self) -> Option<Box<dyn Any + Send>> {
        let (closure, mut life) = self.take()?;
        let (end, _) = life.end_by_user();
        let destructor = life.drop_code(|| drop(closure));
        let (told, payload) = destructor.map(split).unzip();
        end_life(&mut life, end, told);
        payload
    }
}

impl<F: Send + 'static> Wake for Queued<F> {
    fn wake(self: Arc<Self>) {
        // Whoever woke us took our waker; it may have concerned somebody else. Back on the list first, then look.
        let waker = Waker::from(Arc::clone(&self));
        let (stop, old) = {
            let queued = lock(&self.0);
            let old = queued.as_ref().map(|(_, life)| life.renew(waker));
            (queued.as_ref().is_some_and(|(_, life)| life.is_to_stop()), old)
        };
        drop(old);
        if stop {
            // The scope has been told of the panic. The handle says "cancelled", when a thread comes free.
            if let Some(payload) = self.end_unrun() {
                discard(payload);
            }
        }
    }
}

/// What the blocking pool runs, or drops when the closure was aborted or the runtime ended.
struct Shell<F, R>(Arc<Queued<F>>, PhantomData<fn() -> R>);

impl<F, R> Drop for Shell<F, R> {
    fn drop(&mut self) {
        hand_to_tokio(self.0.end_unrun());
    }
}

impl<F: FnOnce() -> R, R> Shell<F, R> {
    fn run(self) -> R {
        let Some((closure, mut life)) = self.0.take() else {
            // Stopped between the pool's last look at the abort and this line; there is no output to give.
            std::panic::resume_unwind(Box::new("the task was cancelled before it began"))
        };
        let (ran, dead) = life.run(closure);
        life.give_back(dead);
        life.end_opened();
        let panic = match ran {
            Ran::Done(output) => {
                end_life(&mut life, End::Value, None);
                return output;
            }
            Ran::Panicked(panic) => panic,
            Ran::DeadChild => DeadChild::into_panic(),
        };
        let (told, payload) = split(panic);
        end_life(&mut life, End::Failed(Failure::Panic(told)), None);
        std::panic::resume_unwind(payload)
    }
}

/// Starts an ambient closure.
#[track_caller]
pub(super) fn spawn_blocking<F, R>(owner: &Arc<Node>, closure: F, admitted: Admitted) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let (id, place) = (admitted.id, admitted.label.place);
    let queued = Arc::new(Queued(Mutex::new(None)));
    let mut life = Life::new(admitted);
    life.enter_as(&Waker::from(Arc::clone(&queued)));
    *lock(&queued.0) = Some((closure, life));
    let shell = Shell(Arc::clone(&queued), PhantomData);
    let task = rt::spawn_blocking(move || shell.run());
    owner.own_task(id, &task, place);
    // It may have been stopped before the closure lay in its place.
    Wake::wake(queued);
    task
}

/// The code of a shielded task: a scope of its own, which is cancelled when the shield's time is over.
pub(super) async fn shielded<F: Future>(
    limit: Duration,
    future: F,
    itself: Arc<OnceLock<AbortHandle>>,
    place: &'static Location<'static>,
) -> F::Output {
    let options = Options { shield: Some(limit), ..Options::default() };
    let setup = Setup { options: Some(Box::new(options)), ..Setup::at(place) };
    let scope = async move {
        let nursery = Nursery::<Cancelled>::open();
        drive::drive(&nursery, async move { Ok(future.await) }).await
    };
    match drive::Opening::new(setup, scope).await.into_result() {
        Ok(output) => output,
        Err(Failure::Panic(panic)) => panic.resume(),
        // It awaited a child that could give no value, which ends an unshielded task in the same way.
        Err(Failure::Cancelled(cancelled)) if !cancelled.is_inherited() => DeadChild::into_panic().resume(),
        Err(_) => {
            // The time is over. `itself` is set right after the spawn; until then, look again.
            loop {
                if let Some(abort) = itself.get() {
                    abort.abort();
                }
                super::yield_now().await;
            }
        }
    }
}

//! The wrapper around the code of a child: its frame, its count, its one exit.
//!
//! Every child but a blocking one runs in a [`ChildTask`]: parallel ones as a Tokio task, borrowed
//! ones inside the body's. It polls the code as a frame, drops it when the child is to stop,
//! and reports one exit whichever way the child ends: with an output, by a panic, by a stop, or
//! dropped from outside (by an abort, or by a runtime that shuts down).

use std::fmt::Debug;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;
use sc_core::{Cancelled, ChildId, ChildKind, End, Exit, Failure, Member, Name, Panic, Told};

use super::Extra;
use super::output::ChildOutput;
use crate::fault::BoxedError;
use crate::frame::{Ambient, Dead, Frame, Opened, Ran, Resting, Who};
use crate::limit::Seat;
use crate::node::{Node, Status};
use crate::present::Label;
use crate::rt::Instant;
use crate::work::Work;

/// Why a child gave no value.
#[derive(Debug, Clone)]
pub(crate) enum Gone {
    /// It failed; whose the failure is, the books say.
    Failed,
    /// It was cancelled, and with `None` its scope was.
    Cancelled(Option<Cancelled>),
    /// It awaited a child that could give no value, and shared its fate.
    AwaitedDead,
}

/// The slot of a child that is not on the list of those who wait.
const NOT_YET: u32 = u32::MAX;

/// What a child is made from.
pub(crate) struct Admitted {
    /// How it belongs to its scope while it lives.
    pub(crate) ambient: Ambient,
    pub(crate) id: u64,
    /// The word of its scope when it was admitted.
    pub(crate) seen: u64,
    pub(crate) kind: ChildKind,
    pub(crate) label: Label,
    pub(crate) extra: Option<Box<Extra>>,
}

pin_project! {
    /// See the module.
    pub(crate) struct ChildTask<F, E> {
        // `None` once it is dropped.
        #[pin]
        code: Option<F>,
        life: Life,
        error: PhantomData<fn() -> E>,
    }

    impl<F, E> PinnedDrop for ChildTask<F, E> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.life.is_member() {
                let (end, gone) = this.life.end_from_outside();
                this.life.hand_down(&gone);
                let destructor = this.life.drop_code(|| this.code.set(None));
                this.life.exit(end, destructor);
            }
        }
    }
}

/// Puts a child that has a name on the list of those who wait, so that it is known by it from the start.
#[cold]
fn enter_named(node: &Node, place: &'static Location<'static>, name: Name) -> u32 {
    let mut books = node.books();
    let slot = books.present.enter(place, Waker::noop().clone());
    books.present.name(slot, name);
    slot
}

/// All of a child but its code; not generic over it.
pub(crate) struct Life {
    /// Empty once the child has ended: its hold is released last (P1).
    frame: Resting,
    seen: u64,
    place: &'static Location<'static>,
    /// Where it is on the list of those who wait.
    slot: u32,
    kind: ChildKind,
    told: Told,
    /// Our waker is not on the list: it never was, or was perhaps taken when an epoch began.
    unlisted: bool,
    extra: Option<Box<Extra>>,
}

impl<F, E> ChildTask<F, E> {
    #[inline]
    pub(crate) fn new(admitted: Admitted, code: F) -> Self {
        Self::of(Life::new(admitted), code)
    }

    #[inline]
    pub(crate) fn of(life: Life, code: F) -> Self {
        Self { code: Some(code), life, error: PhantomData }
    }
}

impl<F, E> Future for ChildTask<F, E>
where
    F: Future,
    F::Output: ChildOutput<E>,
    E: Debug + Send + 'static,
{
    type Output = Result<<F::Output as ChildOutput<E>>::Value, Gone>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let life = this.life;
        if let Some(gone) = life.look(&mut || this.code.set(None)) {
            return Poll::Ready(Err(gone));
        }
        if life.extra.is_some() {
            match life.poll_seat(cx, &mut || this.code.set(None)) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(gone)) => return Poll::Ready(Err(gone)),
                Poll::Pending => return life.wait_for_seat(cx, &mut || this.code.set(None)).map(Err),
            }
        }
        let mut output = None;
        let (ran, dead) = life.run(|| {
            let code = this.code.as_mut().as_pin_mut().expect("a child is not polled after its end");
            if let Poll::Ready(ready) = code.poll(cx) {
                output = Some(ready);
                // In the same run as the poll: one visit to the thread-local slot is enough.
                this.code.set(None);
            }
        });
        if let Some(output) = output {
            life.give_back(dead);
            return Poll::Ready(life.finish_with::<F::Output, E>(output, ran.into_panic()));
        }
        let mut drop_code = || this.code.set(None);
        let (end, gone) = match (ran, dead) {
            (Ran::Done(()), None) => return life.wait(cx, &mut drop_code).map(Err),
            (Ran::Panicked(panic), dead) => {
                life.give_back(dead);
                (End::Failed(Failure::Panic(panic)), Gone::Failed)
            }
            // Awaiting a child that can give no value ends the frame, whatever its grace.
            (Ran::Done(()) | Ran::DeadChild, dead) => match dead.and_then(|dead| dead.failure) {
                Some(failure) => (End::Failed(failure), Gone::Failed),
                None => (End::AwaitedDead, Gone::AwaitedDead),
            },
        };
        let failed = life.finish(end, &mut drop_code);
        Poll::Ready(Err(if failed { Gone::Failed } else { gone }))
    }
}

impl Life {
    #[inline]
    pub(crate) fn new(admitted: Admitted) -> Self {
        let Admitted { ambient, id, seen, kind, label, extra } = admitted;
        let Label { place, name } = label;
        let slot = match name {
            None => NOT_YET,
            Some(name) => enter_named(ambient.node(), place, name),
        };
        let frame = Resting::new(ambient, Who::child(id, kind.daemon), Opened::default());
        Self { frame, seen, place, slot, kind, told: Told::Nobody, unlisted: true, extra }
    }

    /// Of a linked child that has nothing but its code.
    #[inline]
    pub(crate) fn plain(ambient: Ambient, id: u64, seen: u64, place: &'static Location<'static>) -> Self {
        let frame = Resting::new(ambient, Who::child(id, false), Opened::default());
        let kind = ChildKind::LINKED;
        Self { frame, seen, place, slot: NOT_YET, kind, told: Told::Nobody, unlisted: true, extra: None }
    }

    #[inline]
    fn frame(&self) -> &Frame {
        self.frame.frame().expect("a child has its frame until its exit")
    }

    #[inline]
    pub(crate) fn node(&self) -> &Arc<Node> {
        self.frame().ambient.node()
    }

    #[inline]
    fn is_member(&self) -> bool {
        self.frame.frame().is_some()
    }

    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.frame().who.member()
    }

    pub(crate) fn is_daemon(&self) -> bool {
        self.kind.daemon
    }

    pub(crate) fn member(&self) -> Member {
        Member::child(ChildId::new(self.id())).at(self.place)
    }

    /// Its own deadline, and its name, if it has to look at that itself.
    pub(crate) fn take_timeout(&mut self) -> Option<(Duration, Member)> {
        let (limit, name) = self.extra.as_mut()?.timeout.take()?;
        Some((limit, self.member().named(name)))
    }

    pub(crate) fn is_to_stop(&self) -> bool {
        self.node().word() != self.seen && matches!(self.node().status(self.id(), self.kind.daemon), Status::Stop(..))
    }

    /// Tells the scopes it opened what it was told meanwhile, and goes on.
    pub(crate) fn look_for_orders(&mut self) {
        if self.told != Told::Nobody || self.node().word() == self.seen {
            return;
        }
        if let Status::Told(cancelled, told) | Status::Stop(cancelled, told) =
            self.node().status(self.id(), self.kind.daemon)
        {
            self.told = told;
            self.hand_down(&told_by(told, cancelled));
        }
    }

    /// Whether it has been told to stop, in its grace or not.
    pub(crate) fn is_told(&self) -> bool {
        self.node().word() != self.seen && !matches!(self.node().status(self.id(), self.kind.daemon), Status::Run)
    }

    /// Whether it may run as far as the scope's limit goes; if not, the waker is told.
    pub(crate) fn poll_seated(&mut self, waker: &Waker) -> bool {
        match self.extra.as_mut().and_then(|extra| extra.seat.as_mut()) {
            Some(seat) => seat.poll(&mut Context::from_waker(waker)).is_ready(),
            None => true,
        }
    }

    /// Puts the child on the list of those who wait, whatever it has been told meanwhile.
    pub(crate) fn enter_as(&mut self, waker: &Waker) {
        while self.unlisted {
            if self.slot != NOT_YET {
                drop(self.renew(waker.clone()));
                self.unlisted = false;
            } else if let Some(slot) = self.node().enter(self.node().word(), self.place, waker.clone()) {
                (self.slot, self.unlisted) = (slot, false);
            }
        }
    }

    /// The frame has ended: so do the scopes it opened and left open.
    #[inline]
    pub(crate) fn end_opened(&mut self) {
        if let Some(frame) = self.frame.frame_mut() {
            frame.opened.end();
        }
    }

    /// Runs user code as this child's frame.
    #[inline]
    pub(crate) fn run<R>(&mut self, code: impl FnOnce() -> R) -> (Ran<R>, Option<Box<Dead>>) {
        let Self { frame, extra, .. } = self;
        match extra {
            None => frame.run(code),
            Some(extra) => extra.around(|| frame.run(code)),
        }
    }

    /// Looks whether something changed, and ends the child if it is to stop.
    #[inline]
    fn look(&mut self, drop_code: &mut dyn FnMut()) -> Option<Gone> {
        let word = self.node().word();
        if word == self.seen { None } else { self.look_closely(word, drop_code) }
    }

    #[cold]
    fn look_closely(&mut self, word: u64, drop_code: &mut dyn FnMut()) -> Option<Gone> {
        self.seen = word;
        self.unlisted = true;
        match self.node().status(self.id(), self.kind.daemon) {
            Status::Run => {}
            Status::Told(cancelled, told) => {
                self.told = told;
                self.hand_down(&told_by(told, cancelled));
            }
            Status::Stop(cancelled, told) => {
                self.told = told;
                let gone = told_by(told, cancelled);
                self.hand_down(&gone);
                let end = if told == Told::ByScope { End::Cut } else { End::Stopped };
                let failed = self.finish(end, drop_code);
                return Some(if failed { Gone::Failed } else { gone });
            }
        }
        None
    }

    /// Whether a child of a limited scope may run. One that is cancelled before it began is over.
    #[cold]
    fn poll_seat(&mut self, cx: &mut Context<'_>, drop_code: &mut dyn FnMut()) -> Poll<Option<Gone>> {
        let Some(seat) = self.extra.as_mut().and_then(|extra| extra.seat.as_mut()) else { return Poll::Ready(None) };
        let was_queued = seat.is_queued();
        let seated = seat.poll(cx);
        if was_queued && self.told != Told::Nobody {
            let (end, gone) = self.end_from_outside();
            let failed = self.finish(end, drop_code);
            return Poll::Ready(Some(if failed { Gone::Failed } else { gone }));
        }
        seated.map(|()| None)
    }

    /// Gives up what the child has beside its code.
    fn drop_extra(&mut self) {
        let Some(extra) = self.extra.take() else { return };
        let id = self.id();
        if extra.has_grace {
            let late = {
                let mut books = self.node().books();
                books.graces.ended(self.id());
                // `cancel_children` may have told it since its exit was recorded.
                books.stops.ended(self.id())
            };
            drop(late);
        }
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| extra.end(id))) {
            self.node().own_failure(self.member(), Panic::new(payload));
        }
    }

    /// Parks the child: known by name from its first `Pending` on.
    fn wait(&mut self, cx: &mut Context<'_>, drop_code: &mut dyn FnMut()) -> Poll<Gone> {
        if let Some(seat) = self.extra.as_mut().and_then(|extra| extra.seat.as_mut()) {
            seat.lend(cx);
        }
        self.park(cx, drop_code)
    }

    /// As [`wait`](Self::wait), of a child that may not run: it has nothing to lend.
    #[cold]
    fn wait_for_seat(&mut self, cx: &mut Context<'_>, drop_code: &mut dyn FnMut()) -> Poll<Gone> {
        let parked = self.park(cx, drop_code);
        // One that never began, and has been told to stop since it asked for a seat, is over.
        let is_queued = self.extra.as_ref().and_then(|extra| extra.seat.as_ref()).is_some_and(Seat::is_queued);
        if parked.is_ready() || !is_queued || self.told == Told::Nobody {
            return parked;
        }
        self.poll_seat(cx, drop_code).map(|gone| gone.expect("it is queued and told, so this ends it"))
    }

    fn park(&mut self, cx: &mut Context<'_>, drop_code: &mut dyn FnMut()) -> Poll<Gone> {
        loop {
            if let Some(gone) = self.look(drop_code) {
                return Poll::Ready(gone);
            }
            if !self.unlisted {
                return Poll::Pending;
            }
            if self.slot == NOT_YET {
                if let Some(slot) = self.node().enter(self.seen, self.place, cx.waker().clone()) {
                    (self.slot, self.unlisted) = (slot, false);
                    return Poll::Pending;
                }
            } else {
                // Look again after this: whoever began another epoch meanwhile missed our waker.
                drop(self.renew(cx.waker().clone()));
                self.unlisted = false;
            }
        }
    }

    /// Puts another waker on the list of those who wait. Gives back the old one.
    pub(crate) fn renew(&self, waker: Waker) -> Option<Waker> {
        if self.slot == NOT_YET {
            return Some(waker);
        }
        self.node().books().present.renew(self.slot, waker)
    }

    /// Scopes that this child opened learn why it is cancelled before they are dropped (P6).
    pub(crate) fn hand_down(&self, gone: &Gone) {
        let Gone::Cancelled(Some(cancelled)) = gone else { return };
        let stop_at = self.node().told_until(self.id(), self.kind.daemon);
        let mut work = Work::default();
        for node in self.frame().opened.iter() {
            node.inherit(cancelled, stop_at, &mut work);
        }
        work.run();
    }

    /// The code gave an output and was dropped, perhaps with a panic.
    fn finish_with<O, E>(&mut self, output: O, destructor: Option<Panic>) -> Result<O::Value, Gone>
    where
        O: ChildOutput<E>,
        E: Debug + Send + 'static,
    {
        self.end_opened();
        match (output.into_result(), destructor) {
            (Ok(value), None) => {
                if self.is_silent() {
                    self.leave();
                } else {
                    self.record(End::Value, None);
                }
                self.release();
                Ok(value)
            }
            (Ok(value), Some(panic)) => {
                let (ran, dead) = self.run(|| drop(value));
                self.give_back(dead);
                self.exit(End::Failed(Failure::Panic(panic)), ran.into_panic());
                Err(Gone::Failed)
            }
            (Err(error), destructor) => {
                self.exit(End::Failed(Failure::Error(Box::new(error))), destructor);
                Err(Gone::Failed)
            }
        }
    }

    /// A failure that the frame was marked with, and then did not need.
    #[inline]
    pub(crate) fn give_back(&self, dead: Option<Box<Dead>>) {
        if let Some(failure) = dead.and_then(|dead| dead.failure) {
            self.node().give_back(failure);
        }
    }

    /// Drops the code and reports the exit. Whether a destructor's panic made it a failure.
    fn finish(&mut self, end: End<BoxedError>, drop_code: &mut dyn FnMut()) -> bool {
        let destructor = self.drop_code(drop_code);
        let failed = destructor.is_some();
        self.exit(end, destructor);
        failed
    }

    pub(crate) fn drop_code(&mut self, drop_code: impl FnOnce()) -> Option<Panic> {
        let (ran, dead) = self.run(drop_code);
        self.give_back(dead);
        self.end_opened();
        ran.into_panic()
    }

    /// The one exit of a child: recorded first, then its hold is released (P1, P4).
    fn exit(&mut self, end: End<BoxedError>, destructor: Option<Panic>) {
        self.record(end, destructor);
        self.release();
    }

    #[inline]
    pub(crate) fn release(&mut self) {
        if self.extra.is_some() {
            self.drop_extra();
        }
        self.frame.end();
    }

    pub(crate) fn record(&mut self, end: End<BoxedError>, destructor: Option<Panic>) {
        if matches!(end, End::Value) && destructor.is_none() && self.is_silent() {
            return self.leave();
        }
        let node = Arc::clone(self.node());
        self.observe(&node);
        self.report(&node, end, destructor);
    }

    /// Nobody has to be told if it ends in success.
    #[inline]
    fn is_silent(&self) -> bool {
        let node = self.node();
        !self.kind.daemon && node.word() == self.seen && self.told == Told::Nobody && !node.watches_successes()
    }

    /// Leaves the list of those who wait.
    #[inline]
    fn leave(&self) {
        if self.slot != NOT_YET {
            let left = self.node().books().present.leave(self.slot);
            drop(left);
        }
    }

    /// A child that ended before it looked may have been told to stop all the same.
    fn observe(&mut self, node: &Node) {
        if self.told == Told::Nobody && node.word() != self.seen {
            if let Status::Told(_, told) | Status::Stop(_, told) = node.status(self.id(), self.kind.daemon) {
                self.told = told;
            }
        }
    }

    fn report(&self, node: &Arc<Node>, end: End<BoxedError>, destructor: Option<Panic>) {
        if matches!(end, End::Cut) && destructor.is_none() && !self.kind.daemon {
            return self.report_cut(node);
        }
        let now = Instant::now().into_std();
        let mut work = Work::default();
        let kind = self.kind_at_exit();
        let mut books = node.books();
        let (waker, name) = if self.slot == NOT_YET { (None, None) } else { books.present.leave(self.slot) };
        let stop = books.stops.ended(self.id());
        let (id, member) = (ChildId::new(self.id()), self.member().named(name));
        let is_plain_success = matches!(end, End::Value) && destructor.is_none();
        if !is_plain_success || node.watches_successes() || self.kind.daemon {
            let exit = Exit { end, destructor, told: self.told };
            let effects = books.scope.child_exited(id, kind, &member, exit, now);
            books.apply(node, effects, &mut work);
        }
        drop(books);
        drop((waker, stop));
        work.run();
    }

    /// A child that was started is its scope's once it was ready.
    fn kind_at_exit(&self) -> ChildKind {
        let starting = self.extra.as_ref().and_then(|extra| extra.starting.as_ref());
        starting.map_or(self.kind, |starting| starting.kind_at_exit(self.kind))
    }

    /// The exit of most children of a cancelled scope.
    fn report_cut(&self, node: &Node) {
        let mut books = node.books();
        let left = (self.slot != NOT_YET).then(|| books.present.leave(self.slot));
        let stop = books.stops.ended(self.id());
        books.scope.child_cut();
        drop(books);
        drop((left, stop));
    }

    /// Dropped by its user, through a handle of Tokio's own, if nobody else told it to stop.
    pub(crate) fn end_by_user(&mut self) -> (End<BoxedError>, Gone) {
        match self.end_from_outside() {
            (End::RuntimeEnded, gone) => (End::Stopped, gone),
            other => other,
        }
    }

    /// Dropped by somebody else: because it was told to stop, else its runtime ended.
    pub(crate) fn end_from_outside(&mut self) -> (End<BoxedError>, Gone) {
        match self.node().status(self.id(), self.kind.daemon) {
            Status::Run => (End::RuntimeEnded, Gone::Cancelled(None)),
            Status::Told(cancelled, told) | Status::Stop(cancelled, told) => {
                self.told = told;
                let end = if told == Told::ByScope { End::Cut } else { End::Stopped };
                (end, told_by(told, cancelled))
            }
        }
    }
}

/// What the handle of a child that was told to stop finds.
fn told_by(told: Told, cancelled: Cancelled) -> Gone {
    Gone::Cancelled((told != Told::ByScope).then_some(cancelled))
}

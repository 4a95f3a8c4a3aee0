//! The driver: polls body and borrowed children, and takes the scope through its phases.

use std::fmt::{self, Debug};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_buffered::FuturesUnordered;
use pin_project_lite::pin_project;
use sc_core::{BodyEnd, CancelRequest, Cancelled, Failure, Member, Origin, Outcome, Panic, Reason};

use crate::carrier::Carrier;
use crate::child::BorrowedTask;
use crate::events::{self, Notice};
use crate::fault::{self, BoxedError};
use crate::frame::{self, Ambient, Dead, Opened, Ran, Resting, Who};
use crate::node::Node;
use crate::nursery::{Inbox, Nursery};
use crate::open::Setup;
use crate::rt::{Instant, unconstrained};
use crate::shield::BODY;
use crate::teardown::{self, By};
use crate::wake::{QuietWaker, drop_quietly};
use crate::work::Work;

/// The outcome of a scope and what it was, for the builder to turn into a result.
pub struct Ended<T, E> {
    outcome: Outcome<T, E>,
    node: Arc<Node>,
    awaited_dead: bool,
}

impl<T, E> Ended<T, E> {
    /// Whether the body awaited a child that could give no value, whatever had cancelled the scope by then.
    pub(crate) fn awaited_dead(&self) -> bool {
        self.awaited_dead
    }

    pub(crate) fn into_outcome(self) -> Outcome<T, E> {
        self.outcome
    }
}

impl<T, E: Debug + Send + 'static> Ended<T, E> {
    /// The result; further failures go to the hook (P4).
    pub(crate) fn into_result(self) -> Result<T, Failure<E>> {
        let origin: &Origin = self.node.origin();
        crate::hook::further(origin, self.outcome)
    }

    /// The result of the code of a child, where this is the scope around that. A failure of the code's own is the child's
    /// even if a cancellation from above came first: it is for the scope above to say that it is secondary (P4).
    pub(crate) fn into_result_of_child(self) -> Result<T, Failure<E>> {
        let members = &self.outcome.report().failed_members;
        let is_inherited = self.outcome.cancelled().is_some_and(Cancelled::is_inherited);
        let own = members.iter().position(|member| *member == Member::body());
        let Some(own) = own.filter(|_| is_inherited && !self.outcome.is_ok()) else { return self.into_result() };
        let members = members.clone();
        let mut failures: Vec<_> = members.into_iter().zip(self.outcome.into_failures()).collect();
        let (_, failure) = failures.remove(own);
        crate::hook::all(self.node.origin(), failures);
        Err(failure)
    }
}

impl<T, E> Ended<Result<T, E>, Cancelled> {
    /// The result of the code of a child, where this is the shield around that. An error of the code's own is the child's,
    /// whatever became of the shield while it waited for the rest of what is in it (P4).
    pub(crate) fn into_result_of_shielded_child(self) -> Result<Result<T, E>, Failure<Cancelled>> {
        if !matches!(self.outcome.value(), Some(Err(_))) {
            return self.into_result();
        }
        let members = self.outcome.report().failed_members.clone();
        let (output, failures) = self.outcome.into_parts();
        crate::hook::all(self.node.origin(), members.into_iter().zip(failures));
        Ok(output.expect("it has just been seen"))
    }
}

impl<T, E> fmt::Debug for Ended<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended").field("scope", &self.node.id()).finish_non_exhaustive()
    }
}

pin_project! {
    /// Hands the builder's set-up to the block inside, at the first poll.
    pub(crate) struct Opening<F> {
        setup: Option<Setup>,
        #[pin]
        block: F,
    }
}

impl<F> Opening<F> {
    pub(crate) fn new(setup: Setup, block: F) -> Self {
        Self { setup: Some(setup), block }
    }
}

impl<F: Future> Future for Opening<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some(setup) = this.setup.take() {
            Nursery::<()>::hand_over(setup);
        }
        this.block.poll(cx)
    }
}

pin_project! {
    #[project = BodyProjection]
    enum Body<B, T> {
        Running { #[pin] code: B },
        Ended { value: Option<T> },
    }
}

/// The borrowed children that the driver polls.
#[derive(Default)]
struct BorrowedSet<'env> {
    children: FuturesUnordered<BorrowedTask<'env>>,
    waker: QuietWaker,
}

/// What a driver needs once it waits, and scopes that never wait do not pay for.
#[derive(Default)]
struct Aside {
    carrier: Carrier,
    /// The future of `cancel_on`.
    external: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// All of the driver but the body.
#[allow(clippy::struct_excessive_bools, reason = "independent latches, each set once")]
struct Progress<'env> {
    opened: Opened,
    borrowed: Option<Box<BorrowedSet<'env>>>,
    aside: Option<Box<Aside>>,
    seen: u64,
    polled: bool,
    released: bool,
    closed: bool,
    awaited_dead: bool,
}

pin_project! {
    /// The future of an open scope; made by [`drive`].
    pub struct Drive<'n, 'env, T, E, B> {
        nursery: &'n Nursery<'env, E>,
        #[pin]
        body: Body<B, T>,
        progress: Progress<'env>,
    }

    impl<T, E, B> PinnedDrop for Drive<'_, '_, T, E, B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !this.progress.closed {
                let node = Arc::clone(this.nursery.node());
                let body = &mut this.body;
                let mut drop_body = || body.set(Body::Ended { value: None });
                this.progress.abandon(&node, this.nursery.take_inbox(), &mut drop_body);
            }
        }
    }
}

/// Runs `body` as the body of the nursery's scope.
pub fn drive<'n, 'env, T, E, B>(nursery: &'n Nursery<'env, E>, body: B) -> Drive<'n, 'env, T, E, B>
where
    B: Future<Output = Result<T, E>>,
{
    let external = nursery.node().books().external.take();
    let progress = Progress {
        opened: Opened::default(),
        borrowed: None,
        aside: external.map(|signal| Box::new(Aside { external: Some(signal), ..Aside::default() })),
        seen: 0,
        polled: false,
        released: false,
        closed: false,
        awaited_dead: false,
    };
    Drive { nursery, body: Body::Running { code: body }, progress }
}

impl<T, E, B> Future for Drive<'_, '_, T, E, B>
where
    B: Future<Output = Result<T, E>>,
    E: Debug + Send + 'static,
{
    type Output = Ended<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (nursery, progress) = (*this.nursery, this.progress);
        let node = nursery.node();
        progress.unpark(node);
        if !progress.polled {
            // So that a signal is listened to from the start, whatever the body does first.
            progress.poll_external(node, cx);
        }
        let mut first = true;
        loop {
            if let BodyProjection::Running { code } = this.body.as_mut().project() {
                let end = if progress.is_stopped(node) {
                    Some((BodyEnd::Cut, None))
                } else if std::mem::take(&mut first) {
                    progress.poll_body(node, code, cx)
                } else {
                    None
                };
                if let Some((end, value)) = end {
                    let body = &mut this.body;
                    let drop_body = &mut || body.set(Body::Ended { value: None });
                    if progress.end_body(node, end, drop_body) {
                        progress.closed = true;
                        return Poll::Ready(finish(node, value, progress.awaited_dead));
                    }
                    if let BodyProjection::Ended { value: slot } = this.body.as_mut().project() {
                        *slot = value;
                    }
                }
            }
            progress.poll_borrowed(node, nursery, cx);
            let body_ended = matches!(this.body.as_mut().project(), BodyProjection::Ended { .. });
            progress.go_on(node, body_ended, cx);
            if teardown::poll(node, By::Driver, cx).is_ready() {
                progress.closed = true;
                let value = match this.body.as_mut().project() {
                    BodyProjection::Ended { value } => value.take(),
                    BodyProjection::Running { .. } => None,
                };
                return Poll::Ready(finish(node, value, progress.awaited_dead));
            }
            if progress.park(node, body_ended, cx) {
                return Poll::Pending;
            }
        }
    }
}

/// The outcome of a closed scope.
fn finish<T, E: Send + 'static>(node: &Arc<Node>, value: Option<T>, awaited_dead: bool) -> Ended<T, E> {
    frame::closed();
    let outcome = node.finish(value);
    Ended { outcome: outcome.map_err(fault::restore_error), node: Arc::clone(node), awaited_dead }
}

impl<'env> Progress<'env> {
    fn unpark(&mut self, node: &Arc<Node>) {
        if let Some(Aside { carrier, .. }) = self.aside.as_deref_mut() {
            carrier.unpark(node, By::Driver);
        }
    }

    fn park(&mut self, node: &Arc<Node>, body_ended: bool, cx: &mut Context<'_>) -> bool {
        // What is left to wait for is children, borrowed ones too.
        if body_ended {
            crate::limit::awaits_scope(node);
        }
        if node.books().adopted {
            return node.wait_for_close(cx);
        }
        self.aside.get_or_insert_default().carrier.park(node, By::Driver, cx)
    }

    /// Whether the body is to be dropped. A scope born cancelled polls its body once, and a body
    /// that is ready then wins (P8).
    fn is_stopped(&mut self, node: &Arc<Node>) -> bool {
        if !self.polled {
            self.polled = true;
            return false;
        }
        let word = node.word();
        if word == self.seen {
            return false;
        }
        self.seen = word;
        let books = node.books();
        books.scope.is_stopped() && !books.shielded.has(BODY)
    }

    /// Runs code as the body's frame.
    fn run<R>(&mut self, node: &Arc<Node>, code: impl FnOnce() -> R) -> (Ran<R>, Option<Box<Dead>>) {
        let ambient = Ambient::Plain(Arc::clone(node));
        let mut frame = Resting::new(ambient, Who::BODY, std::mem::take(&mut self.opened));
        let ran = frame.run(code);
        self.opened = frame.take().expect("a frame rests when it has run").opened;
        ran
    }

    fn poll_body<B, T, E>(
        &mut self,
        node: &Arc<Node>,
        code: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Option<(BodyEnd<BoxedError>, Option<T>)>
    where
        B: Future<Output = Result<T, E>>,
        E: Debug + Send + 'static,
    {
        let (ran, dead) = self.run(node, || code.poll(cx));
        let failure = dead.map(|dead| dead.failure);
        let end = match (ran, failure) {
            (Ran::Done(Poll::Pending), None) => return None,
            (Ran::Done(Poll::Ready(result)), failure) => {
                give_back(node, failure.flatten());
                return Some(match result {
                    Ok(value) => (BodyEnd::Value, Some(value)),
                    Err(error) => (BodyEnd::Failed(Failure::Error(Box::new(error) as BoxedError)), None),
                });
            }
            (Ran::Panicked(panic), failure) => {
                give_back(node, failure.flatten());
                BodyEnd::Failed(Failure::Panic(panic))
            }
            (Ran::Done(Poll::Pending) | Ran::DeadChild, Some(Some(failure))) => BodyEnd::Failed(failure),
            (Ran::Done(Poll::Pending) | Ran::DeadChild, _) => {
                self.awaited_dead = true;
                BodyEnd::AwaitedDead
            }
        };
        Some((end, None))
    }

    /// Drops the body and reports its end. Whether that was the end of the scope.
    fn end_body(&mut self, node: &Arc<Node>, end: BodyEnd<BoxedError>, drop_body: &mut dyn FnMut()) -> bool {
        let destructor = self.drop_body(node, drop_body);
        let alone = node.holds() == 1 && node.borrowed() == 0;
        let plain = matches!(end, BodyEnd::Value) && destructor.is_none() && !self.has_external();
        if plain && alone && node.close_alone() {
            return true;
        }
        let now = Instant::now().into_std();
        node.input(|books| {
            books.drained_at = alone.then_some(now);
            books.scope.body_ended(end, destructor, now)
        });
        false
    }

    fn drop_body(&mut self, node: &Arc<Node>, drop_body: &mut dyn FnMut()) -> Option<Panic> {
        let (ran, dead) = self.run(node, drop_body);
        give_back(node, dead.and_then(|dead| dead.failure));
        self.opened.end();
        ran.into_panic()
    }

    /// Takes over new borrowed children and polls those that are woken.
    fn poll_borrowed<E>(&mut self, node: &Arc<Node>, nursery: &Nursery<'env, E>, cx: &mut Context<'_>) {
        let arrived = nursery.take_inbox();
        if self.borrowed.is_none() && arrived.is_none() {
            return;
        }
        let mut set = self.borrowed.take().unwrap_or_default();
        for task in arrived.into_iter().flat_map(|arrived| arrived.0) {
            set.children.push(task);
        }
        let (ran, _) = self.run(node, || {
            let mut ended = 0;
            while let Poll::Ready(Some(())) = poll_next(&mut set, cx) {
                ended += 1;
            }
            ended
        });
        match ran {
            Ran::Done(ended) => node.borrowed_left(ended),
            // Borrowed children catch their own panics; what comes here is one of the set itself.
            Ran::Panicked(panic) => node.own_failure(Member::some_child(), panic),
            Ran::DeadChild => {}
        }
        if !set.children.is_empty() {
            self.borrowed = Some(set);
        }
    }

    /// Time, the outer world, and the end of the open phase. After the body and the borrowed
    /// children: an error recorded at the same moment outranks a deadline, and that a cancellation (P5).
    fn go_on(&mut self, node: &Arc<Node>, body_ended: bool, cx: &mut Context<'_>) {
        if let Some(aside) = &mut self.aside {
            aside.carrier.poll_timer(node, cx);
        }
        self.poll_external(node, cx);
        if body_ended && self.borrowed.is_none() && !self.released {
            self.released = true;
            let hold = node.books().driver_hold.take();
            drop(hold);
        }
        if self.released && self.has_external() && node.books().released {
            self.drop_external(node);
        }
    }

    fn has_external(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| aside.external.is_some())
    }

    /// With the last child, there is nothing left that the signal could cut short.
    fn drop_external(&mut self, node: &Arc<Node>) {
        let external = self.take_external();
        let (ran, _) = self.run(node, || drop(external));
        if let Some(panic) = ran.into_panic() {
            node.own_failure(Member::body(), panic);
        }
    }

    fn take_external(&mut self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        self.aside.as_mut()?.external.take()
    }

    fn poll_external(&mut self, node: &Arc<Node>, cx: &mut Context<'_>) {
        let Some(mut external) = self.take_external() else { return };
        // As with the timer: what a busy body left of the budget may be nothing.
        let (ran, _) = self.run(node, || Pin::new(&mut unconstrained(external.as_mut())).poll(cx).is_ready());
        match ran {
            Ran::Done(true) => node.cancel(CancelRequest::because(Reason::External)),
            Ran::Done(false) if !node.is_cancelled() => {
                self.aside.get_or_insert_default().external = Some(external);
                return;
            }
            Ran::Done(false) | Ran::DeadChild => {}
            Ran::Panicked(panic) => node.own_failure(Member::body(), panic),
        }
        if let Some(panic) = drop_quietly(external) {
            node.own_failure(Member::body(), panic);
        }
    }

    /// The scope's future is dropped before the scope is closed (P3).
    fn abandon(&mut self, node: &Arc<Node>, inbox: Option<Box<Inbox<'env>>>, drop_body: &mut dyn FnMut()) {
        let now = Instant::now().into_std();
        let mut forgotten = false;
        node.input(|books| {
            forgotten = books.adopted;
            books.scope.future_dropped(now)
        });
        if !forgotten {
            events::say(&Notice::FutureGone { origin: node.origin().clone(), forgotten: false });
        }
        let mut panics = vec![self.drop_body(node, drop_body)];
        let borrowed = self.borrowed.take();
        let (ran, _) = self.run(node, || drop((borrowed, inbox)));
        panics.push(ran.into_panic());
        let external = self.take_external();
        panics.push(drop_quietly(external));
        for panic in panics.into_iter().flatten() {
            node.own_failure(Member::body(), panic);
        }
        crate::reaper::adopt(node);
        // It may have closed before it was dropped, with an outcome that nobody will take now (P4).
        crate::reaper::report(node);
        frame::closed();
    }
}

fn poll_next(set: &mut BorrowedSet<'_>, cx: &mut Context<'_>) -> Poll<Option<()>> {
    use futures_core::Stream;
    let mut quiet = Context::from_waker(set.waker.of(cx.waker()));
    Pin::new(&mut set.children).poll_next(&mut quiet)
}

fn give_back(node: &Arc<Node>, failure: Option<crate::fault::Fault>) {
    if let Some(failure) = failure {
        node.give_back(failure);
    }
}

impl Node {
    /// Closes a scope whose body ended with a value and was the last, in one step. `false`, and nothing has changed, if
    /// it has more to do than that.
    fn close_alone(self: &Arc<Self>) -> bool {
        let mut work = Work::default();
        let hold = {
            let mut books = self.books();
            if books.adopted || books.scope.daemons() > 0 || !books.has_nothing_to_do() {
                return false;
            }
            // Only now: a daemon or a policy that was there a moment ago may have spawned. With neither of them, and the
            // body gone, nobody is left who could.
            if self.holds() != 1 || self.borrowed() != 0 {
                return false;
            }
            let Some(effects) = books.scope.ended_alone(|| Instant::now().into_std()) else { return false };
            books.released = true;
            books.apply(self, effects, &mut work);
            books.driver_hold.take()
        };
        work.run();
        drop(hold);
        true
    }

    /// The outcome of the scope, once it is closed.
    pub(crate) fn finish<T>(&self, value: Option<T>) -> Outcome<T, BoxedError> {
        let mut books = self.books();
        let accepted = self.spawned() - books.uncounted;
        books.scope.finish(value, accepted)
    }

    /// The driver of a scope that somebody else carries only waits. Whether it may park.
    fn wait_for_close(&self, cx: &mut Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let old = {
            let mut books = self.books();
            if books.scope.phase() == sc_core::Phase::Closed {
                return false;
            }
            books.observer.replace(waker)
        };
        drop(old);
        true
    }
}

impl<T, E, B> Debug for Drive<'_, '_, T, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").field("scope", &self.nursery.id()).finish_non_exhaustive()
    }
}

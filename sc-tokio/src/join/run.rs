//! A join while it runs: what outlives its scope's body, and the body, which feeds the joiner.
//!
//! The body is dropped when the scope is cancelled, and yet what has ended until then counts. So the joiner, the source and
//! the ends that nobody has looked at belong to the block around the scope, and the body borrows them.

use std::any::Any;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use sc_core::{CancelRequest, Cancelled, ChildId, DeadChild, Failure, Joiner, Member, Panic, Reason};

use super::contender::{Contender, Exit, Exits, Start, lose};
use super::room::Room;
use super::source::Items;
use crate::child::Attributes;
use crate::drive::Ended;
use crate::limit::{self, Limit};
use crate::node::Node;
use crate::nursery::Nursery;
use crate::wake::drop_quietly;

pin_project! {
    /// See the module.
    pub(super) struct Run<C, J, T, E> {
        // `None` once it is dropped.
        #[pin]
        source: Option<C>,
        joiner: Option<J>,
        exits: Arc<Exits<T, E>>,
        // Looked at, and not yet told to the joiner.
        batch: Vec<Exit<T, E>>,
        progress: Progress,
    }

    impl<C, J, T, E> PinnedDrop for Run<C, J, T, E> {
        /// In the middle of it, if the join's future is dropped (P3): then a destructor's panic has nobody to go to but the
        /// scope, whose children may still be at it.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let source = catch_unwind(AssertUnwindSafe(|| this.source.set(None))).err().map(Panic::new);
            this.exits.close();
            let mut ends = std::mem::take(this.batch);
            this.exits.take(this.batch, None);
            ends.append(this.batch);
            let joiner = drop_quietly(this.joiner.take());
            let exits = &**this.exits;
            let ends = ends.into_iter().map(|end| catch_unwind(AssertUnwindSafe(|| exits.discard(end))).err().map(Panic::new));
            for panic in [source, joiner].into_iter().chain(ends).flatten() {
                exits.node().own_failure(Member::body(), panic);
            }
        }
    }
}

/// How far a join is.
#[allow(clippy::struct_excessive_bools, reason = "independent facts about how far it is")]
struct Progress {
    room: Room,
    in_flight: usize,
    /// The index of the next child.
    next: usize,
    begun: bool,
    /// The source has no more.
    exhausted: bool,
    /// The joiner broke.
    decided: bool,
    /// A failure that is a consequence of the cancellation was told, and has not been made good by a decision.
    failed_late: bool,
    /// A child was stopped with the whole.
    missing: bool,
    /// Of the joiner, the source or a closure. It is the result (P4), once everything has ended.
    panic: Option<Box<dyn Any + Send>>,
}

impl Progress {
    fn is_complete(&self) -> bool {
        self.exhausted && self.in_flight == 0
    }

    /// Whether the joiner broke before anything else could decide (P5).
    fn is_decided_first(&self) -> bool {
        self.decided && !self.failed_late
    }

    /// Whether the joiner is to be told why the whole was cut short.
    fn is_cut(&self) -> bool {
        self.failed_late || (!self.decided && (self.missing || !self.is_complete()))
    }

    /// Tells the joiner of an end.
    fn tell<T, E>(&mut self, joiner: &mut impl Joiner<T, E>, node: &Arc<Node>, exit: Exit<T, E>) -> ControlFlow<()> {
        let Exit { index, late, result } = exit;
        self.in_flight -= 1;
        let result = match result {
            Some(result) => result,
            None if late => {
                self.missing = true;
                return ControlFlow::Continue(());
            }
            // Stopped, and not with the others: it awaited a child of an outer scope that could give it nothing.
            None => Err(Failure::Cancelled(node.why(Reason::AwaitedChild))),
        };
        let is_consequence = late && result.is_err();
        self.failed_late |= is_consequence;
        let flow = joiner.on_exit(index, result);
        if flow.is_break() {
            self.decided = true;
            self.failed_late = is_consequence;
        }
        flow
    }
}

impl<C, J, T, E: Debug + Send + 'static> Run<C, J, T, E> {
    pub(super) fn new(
        source: C,
        joiner: J,
        limit: Option<Limit>,
        node: &Arc<Node>,
        place: &'static Location<'static>,
    ) -> Self {
        let progress = Progress {
            room: Room::under(limit),
            in_flight: 0,
            next: 0,
            begun: false,
            exhausted: false,
            decided: false,
            failed_late: false,
            missing: false,
            panic: None,
        };
        Self { source: Some(source), joiner: Some(joiner), exits: Exits::of(node, place), batch: Vec::new(), progress }
    }
}

impl<C, J, T, E> Run<C, J, T, E>
where
    C: Items,
    C::Item: Future<Output = Result<T, E>>,
    J: Joiner<T, E>,
    E: Debug + Send + 'static,
{
    /// Looks at what has ended and starts what there is room for. Ready when there is nothing left to wait for.
    fn advance<'env>(
        self: Pin<&mut Self>,
        nursery: &Nursery<'env, Cancelled>,
        start: &Start<'env, C::Item, T, E>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let this = self.project();
        let (progress, node) = (this.progress, this.exits.node());
        let joiner = this.joiner.as_mut().expect("the joiner stays until the end");
        let mut source = this.source.as_pin_mut().expect("the source stays until the end");
        if !progress.begun {
            progress.begun = true;
            if source.count().is_some_and(|count| joiner.begin(count).is_break()) {
                progress.decided = true;
                return Poll::Ready(());
            }
        }
        this.exits.take(this.batch, Some(cx.waker().clone()));
        while let Some(exit) = this.batch.pop() {
            if progress.tell(joiner, node, exit).is_break() {
                return Poll::Ready(());
            }
        }
        // In a cancelled scope they would be refused (P7).
        let mut waiting = node.is_cancelled();
        while !waiting && !progress.exhausted {
            if source.is_at_end() {
                progress.exhausted = true;
                break;
            }
            let Poll::Ready(seat) = progress.room.poll(node, progress.next, cx) else { break };
            match source.as_mut().poll_next(cx) {
                Poll::Ready(Some(code)) => {
                    progress.in_flight += 1;
                    let child = Contender::new(code, progress.next, this.exits);
                    (start.how)(nursery, child, Attributes::contender(start.place, seat));
                    progress.next += 1;
                }
                Poll::Ready(None) => progress.exhausted = true,
                Poll::Pending => waiting = true,
            }
        }
        let is_over = progress.in_flight == 0 && (progress.exhausted || node.is_cancelled());
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Everything has ended: gives the result.
    pub(super) fn finish(
        mut self: Pin<&mut Self>,
        ended: Ended<(), Cancelled>,
        place: &'static Location<'static>,
    ) -> J::Output {
        let own = ended.into_result();
        let fed = catch_unwind(AssertUnwindSafe(|| self.as_mut().tell_the_rest()));
        self.as_mut().clear(place);
        let this = self.project();
        let node = this.exits.node();
        let joiner = this.joiner.take().expect("the joiner stays until the end");
        let own = match own {
            Err(Failure::Panic(panic)) => Some(panic),
            _ => None,
        };
        let mut payload = this.progress.panic.take().or(fed.err());
        let is_whole = payload.is_none();
        if let Some(panic) = own {
            if is_whole && !this.progress.is_decided_first() {
                payload = Some(panic.into_payload());
            } else {
                lose(node, Member::some_child().at(place), Failure::<E>::Panic(panic));
            }
        }
        let is_cut = payload.is_some() || this.progress.is_cut();
        let cut = is_cut.then(|| node.why(Reason::AwaitedChild));
        let mut unclaimed = Vec::new();
        // A joiner that panicked is asked nothing more; another one has failures that go nowhere else (P4).
        let output = catch_unwind(AssertUnwindSafe(|| is_whole.then(|| joiner.finish(cut, &mut unclaimed))));
        for failure in unclaimed {
            lose(node, Member::some_child().at(place), failure);
        }
        let Some(payload) = payload else {
            return match output {
                Ok(output) => output.expect("nobody panicked"),
                Err(payload) => resume_unwind(payload),
            };
        };
        let second = match output {
            Ok(output) => drop_quietly(output),
            Err(payload) => Some(Panic::new(payload)),
        };
        if let Some(panic) = second {
            lose(node, Member::body().at(place), Failure::<E>::Panic(panic));
        }
        resume_unwind(payload)
    }

    /// Drops the source, and what the joiner is not to be told of; failures go to the hook (P4).
    fn clear(self: Pin<&mut Self>, place: &'static Location<'static>) {
        let mut this = self.project();
        let node = this.exits.node();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| this.source.set(None))) {
            lose(node, Member::body().at(place), Failure::<E>::Panic(Panic::new(payload)));
        }
        for exit in std::mem::take(this.batch).into_iter().rev() {
            let member = Member::child(ChildId::new(exit.index as u64)).at(place);
            match exit.result {
                Some(Err(failure)) => lose(node, member, failure),
                result => {
                    if let Some(panic) = drop_quietly(result) {
                        lose(node, member, Failure::<E>::Panic(panic));
                    }
                }
            }
        }
    }

    /// What ended after the body's last look. What the joiner is not to be told of stays in the batch.
    fn tell_the_rest(self: Pin<&mut Self>) {
        let this = self.project();
        let (progress, node) = (this.progress, this.exits.node());
        let joiner = this.joiner.as_mut().expect("the joiner stays until the end");
        // A body that panicked has left some of its batch behind.
        let mut rest = Vec::new();
        this.exits.take(&mut rest, None);
        this.batch.splice(0..0, rest);
        if !progress.exhausted {
            progress.exhausted = this.source.as_pin_mut().is_some_and(|source| source.is_at_end());
        }
        while !progress.decided && progress.panic.is_none() {
            let Some(exit) = this.batch.pop() else { break };
            let _ = progress.tell(joiner, node, exit);
        }
    }
}

/// The body of a join's scope.
pub(super) struct Body<'n, 'env, C: Items, J, T, E> {
    pub(super) nursery: &'n Nursery<'env, Cancelled>,
    pub(super) run: Pin<&'n mut Run<C, J, T, E>>,
    pub(super) start: &'n Start<'env, C::Item, T, E>,
}

impl<C, J, T, E> Future for Body<'_, '_, C, J, T, E>
where
    C: Items,
    C::Item: Future<Output = Result<T, E>>,
    J: Joiner<T, E>,
    E: Debug + Send + 'static,
{
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut run = this.run.as_mut();
        let why = match catch_unwind(AssertUnwindSafe(|| run.as_mut().advance(this.nursery, this.start, cx))) {
            Ok(Poll::Pending) => {
                // Whoever awaits the join waits for its children and for the next seat, and may have one to lend.
                limit::awaits_scope(this.nursery.node());
                return Poll::Pending;
            }
            Ok(Poll::Ready(())) => "the join is decided",
            Err(payload) if payload.is::<DeadChild>() => resume_unwind(payload),
            Err(payload) => {
                run.as_mut().project().progress.panic = Some(payload);
                "the join panicked"
            }
        };
        let progress = run.as_mut().project().progress;
        progress.room.close();
        if progress.in_flight > 0 {
            // From inside, so that it is no failure of the scope (P5).
            let request = CancelRequest::with_cause(Reason::Requested, why.into());
            this.nursery.node().cancel_present(request);
        }
        Poll::Ready(Ok(()))
    }
}

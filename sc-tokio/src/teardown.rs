//! The end of a scope, step by step (P10): drained, outputs dropped, daemons, finalizers, closed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use sc_core::{Failure, Member, Panic, ScopeEnd};

use crate::books::{Books, Finalizer, RunningFinalizer};
use crate::fault::Fault;
use crate::node::Node;
use crate::parked::{self, Dropped, Output};
use crate::rt::Instant;
use crate::work::Work;

/// Who asks for the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Driver,
    Reaper,
}

enum Step {
    /// Nothing to do before the next wake-up.
    Wait,
    DropOutputs(Vec<Output>),
    Drain,
    Begin(Finalizer, ScopeEnd),
    Run(RunningFinalizer),
    Closed,
}

impl Books {
    fn next_step(&mut self, by: By) -> Step {
        if self.scope.phase() == sc_core::Phase::Closed {
            return Step::Closed;
        }
        if !self.released || self.stepping || !self.is_carried_by(by) {
            return Step::Wait;
        }
        if self.parked.is_drained() && !self.scope.is_drained() {
            return Step::Drain;
        }
        let step = self.next_user_code();
        self.stepping = !matches!(step, Step::Wait);
        step
    }

    fn next_user_code(&mut self) -> Step {
        if !self.parked.is_empty() {
            return Step::DropOutputs(self.parked.take());
        }
        if let Some(running) = self.running.take() {
            return Step::Run(running);
        }
        if std::mem::take(&mut self.finalizer_due) {
            let finalizer = self.finalizers.pop().expect("a finalizer that is due was registered");
            return Step::Begin(finalizer, self.scope.end());
        }
        Step::Wait
    }

    /// Whether the end needs nobody to carry it: nothing to wait for and no user code to run.
    pub(crate) fn is_idle(&self) -> bool {
        self.released && self.scope.daemons() == 0 && self.has_nothing_to_do()
    }

    /// Whether there is no output to drop, and no user code to run.
    pub(crate) fn has_nothing_to_do(&self) -> bool {
        self.parked.is_empty() && !self.stepping && !self.judging && !self.has_finalizers()
    }

    /// Once the scope is adopted, its driver has nothing to say any more.
    pub(crate) fn is_carried_by(&self, by: By) -> bool {
        !self.adopted || by == By::Reaper
    }

    fn has_finalizers(&self) -> bool {
        !self.finalizers.is_empty() || self.running.is_some() || self.finalizer_due
    }
}

/// Takes every step that can be taken now. Ready once the scope is closed.
pub(crate) fn poll(node: &Arc<Node>, by: By, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        let step = node.books().next_step(by);
        match step {
            Step::Closed => return Poll::Ready(()),
            Step::Wait => return Poll::Pending,
            Step::Drain => drain(node),
            Step::DropOutputs(outputs) => {
                let dropped = drop_outputs(node, outputs, cx);
                stepped(node, by);
                std::task::ready!(dropped);
            }
            Step::Begin(finalizer, end) => {
                begin(node, finalizer, end);
                stepped(node, by);
            }
            Step::Run(running) => {
                let ran = run(node, running, cx);
                stepped(node, by);
                std::task::ready!(ran);
            }
        }
    }
}

/// Ends a step that ran user code. If somebody took over meanwhile, they have found it taken and wait.
fn stepped(node: &Arc<Node>, by: By) {
    let carrier = {
        let mut books = node.books();
        books.stepping = false;
        if books.is_carried_by(by) {
            return;
        }
        books.changed = true;
        books.carrier.take()
    };
    crate::wake::wake_all(carrier);
}

pub(crate) fn drain(node: &Arc<Node>) {
    node.input(|books| {
        // Nobody was there but the body: it ended just now, and the clock is not asked twice. Whatever
        // else could have told the scope a later time since then would have cancelled it.
        let now = books.drained_at.filter(|_| books.scope.cancelled().is_none());
        books.scope.drained(now.unwrap_or_else(|| Instant::now().into_std()))
    });
}

/// Drops the outputs that have come, and keeps the others.
pub(crate) fn drop_outputs(node: &Arc<Node>, outputs: Vec<Output>, cx: &mut Context<'_>) -> Poll<()> {
    let Dropped { panics, daemons, left } = parked::drop_finished(outputs, cx);
    let wait = !left.is_empty();
    node.books().parked.put_back(left);
    for panic in panics {
        node.own_failure(Member::some_child(), panic);
    }
    let mut work = Work::default();
    for daemon in daemons {
        node.daemon_scope_closed(daemon, &mut work);
    }
    work.run();
    if wait { Poll::Pending } else { Poll::Ready(()) }
}

fn begin(node: &Arc<Node>, finalizer: Finalizer, end: ScopeEnd) {
    match catch_unwind(AssertUnwindSafe(|| finalizer(end))) {
        Ok(running) => node.books().running = Some(running),
        Err(payload) => finished(node, Some(Failure::Panic(Panic::new(payload)))),
    }
}

fn run(node: &Arc<Node>, mut running: RunningFinalizer, cx: &mut Context<'_>) -> Poll<()> {
    match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
        Ok(Poll::Pending) => {
            node.books().running = Some(running);
            return Poll::Pending;
        }
        Ok(Poll::Ready(failure)) => finished(node, failure),
        Err(payload) => finished(node, Some(Failure::Panic(Panic::new(payload)))),
    }
    if let Some(panic) = crate::wake::drop_quietly(running) {
        node.own_failure(Member::finalizer(), panic);
    }
    Poll::Ready(())
}

fn finished(node: &Arc<Node>, failure: Option<Fault>) {
    let now = Instant::now().into_std();
    node.input(|books| books.scope.finalizer_ended(failure, now));
}

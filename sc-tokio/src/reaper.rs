//! The reaper: carries a scope to its end whose future is gone (P3), or that never had one.
//!
//! A scope's future can be dropped half-way, or forgotten, or carried out of the frame that opened
//! it. Its children are cancelled at once; a task on the scope's own runtime waits for them, then
//! stops daemons and runs finalizers as the driver would have, while the scope's hold of its parent
//! keeps that open. A scope that belongs to a value is carried by such a task from the start.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use sc_core::{CancelRequest, FailureRecord, Member, Outcome, Reason};

use crate::books::Owner;
use crate::carrier::Carrier;
use crate::events::{self, Notice};
use crate::fault::BoxedError;
use crate::node::Node;
use crate::rt::Instant;
use crate::teardown::{self, By};
use crate::wake::drop_quietly;

/// Takes over a scope whose future is gone.
pub(crate) fn adopt(node: &Arc<Node>) {
    let hold = {
        let mut books = node.books();
        if !books.adopted || std::mem::replace(&mut books.carried, true) {
            return;
        }
        books.driver_hold.take()
    };
    drop(hold);
    if close_if_idle(node) {
        return;
    }
    let reaper = Reaper { node: Arc::clone(node), carrier: Carrier::default(), done: false };
    // On a runtime that shuts down, this drops the reaper at once; see its destructor.
    drop(node.runtime().spawn(reaper));
}

/// Closes a scope that has nothing left to wait for, here and now.
fn close_if_idle(node: &Arc<Node>) -> bool {
    if !node.books().is_idle() {
        return false;
    }
    teardown::drain(node);
    report(node);
    node.is_closed()
}

/// Carries a scope that belongs to a value, from the start: its deadline and its end need somebody
/// who polls.
pub(crate) fn carry(node: &Arc<Node>) {
    {
        let mut books = node.books();
        (books.adopted, books.carried) = (true, true);
    }
    let reaper = Reaper { node: Arc::clone(node), carrier: Carrier::default(), done: false };
    drop(node.runtime().spawn(reaper));
}

/// The value that a scope belongs to is dropped.
pub(crate) fn let_go(node: &Arc<Node>) {
    let now = Instant::now().into_std();
    let mut was_idle = true;
    node.input(|books| {
        books.owner = Owner::Gone;
        was_idle = node.is_closed() || (node.holds() <= 1 && books.scope.daemons() == 0);
        books.scope.future_dropped(now)
    });
    if !was_idle {
        events::say(&Notice::FutureGone { origin: node.origin().clone(), forgotten: false });
    }
    // It may have closed before, with an outcome that nobody will take now (P4).
    if !close_if_idle(node) {
        report(node);
    }
}

struct Reaper {
    node: Arc<Node>,
    carrier: Carrier,
    done: bool,
}

impl Future for Reaper {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.carrier.unpark(&this.node, By::Reaper);
        loop {
            this.carrier.poll_timer(&this.node, cx);
            if teardown::poll(&this.node, By::Reaper, cx).is_ready() {
                this.done = true;
                report(&this.node);
                return Poll::Ready(());
            }
            if this.carrier.park(&this.node, By::Reaper, cx) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let (released, owned) = {
            let mut books = self.node.books();
            books.abandoned = true;
            (books.released, books.owner != Owner::Future)
        };
        if owned {
            // Whoever waits for it has to be told; and nobody is left to watch the end of a grace (the
            // runtime may go on, and have no timer).
            let now = Instant::now().into_std();
            self.node.stop_by(CancelRequest::because(Reason::RuntimeEnded), Some(now));
            self.node.cut_graces();
        }
        if released {
            close_abandoned(&self.node);
        }
    }
}

/// The runtime has ended, and with it everybody who could wait: drops what is left unrun, and says so.
pub(crate) fn close_abandoned(node: &Arc<Node>) {
    if node.is_closed() {
        return;
    }
    let (outputs, finalizers, running) = {
        let mut books = node.books();
        (books.parked.take(), std::mem::take(&mut books.finalizers), books.running.take())
    };
    let dropped = [drop_quietly(outputs), drop_quietly(finalizers), drop_quietly(running)];
    for panic in dropped.into_iter().flatten() {
        node.own_failure(Member::finalizer(), panic);
    }
    teardown::drain(node);
    let now = Instant::now().into_std();
    let mut unrun = 0;
    node.input(|books| {
        let (finalizers, effects) = books.scope.runtime_ended(now);
        unrun = finalizers;
        effects
    });
    if unrun > 0 {
        events::say(&Notice::Unrun { origin: node.origin().clone(), finalizers: unrun });
    }
    report(node);
}

/// There is nobody to return the outcome of a closed scope to: its failures go to the hook (P4). That
/// of a scope which belongs to a value is kept while the value lives.
pub(crate) fn report(node: &Arc<Node>) {
    if !node.is_closed() || node.books().owner == Owner::Value {
        return;
    }
    let outcome: Outcome<(), BoxedError> = node.finish(None);
    let members = outcome.report().failed_members.clone();
    for (member, failure) in members.into_iter().zip(outcome.into_failures()) {
        crate::hook::unhandled(node.origin(), FailureRecord { member, failure });
    }
}

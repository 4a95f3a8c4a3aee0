//! Whoever carries a scope to its end: the driver inside the scope's future, or the reaper once
//! that future is gone. Both keep a timer and leave their waker in the books.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::Context;

use crate::node::Node;
use crate::rt::{Instant, RuntimeId, Sleep, id_of, sleep_until, unconstrained};
use crate::teardown::By;

/// Runtimes that were found to have no timer. Messages about slow ends and the default bound of
/// finalizers, which nobody asked for, are left out there rather than fail the scope. Tokio has no
/// way to ask, so the first such timer on such a runtime is a caught panic.
static TIMERLESS: std::sync::Mutex<Vec<RuntimeId>> = std::sync::Mutex::new(Vec::new());

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Carrier {
    /// Boxed, since most scopes never need one.
    timer: Option<Pin<Box<Sleep>>>,
    armed: Option<Instant>,
    parked: bool,
}

impl Carrier {
    /// Begins a poll: from now on a change need not wake us, we look before we park.
    pub(crate) fn unpark(&mut self, node: &Node, by: By) {
        if std::mem::take(&mut self.parked) {
            let waker = {
                let mut books = node.books();
                // The waker may be that of whoever took over.
                if books.is_carried_by(by) { books.carrier.take() } else { None }
            };
            drop(waker);
        }
    }

    /// Fires the timer, if it is due. Outside the cooperative budget: the timers of Tokio come to no end without one, and
    /// a body that is always busy leaves none (P8).
    pub(crate) fn poll_timer(&mut self, node: &Arc<Node>, cx: &mut Context<'_>) {
        if self.armed.is_none() {
            return;
        }
        let Some(timer) = &mut self.timer else { return };
        if Pin::new(&mut unconstrained(timer.as_mut())).poll(cx).is_ready() {
            self.armed = None;
            node.tick();
        }
    }

    /// Ends a poll. `false`: something changed meanwhile, look again.
    pub(crate) fn park(&mut self, node: &Arc<Node>, by: By, cx: &mut Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let (old, timer, warning) = {
            let mut books = node.books();
            if !books.is_carried_by(by) || std::mem::take(&mut books.changed) {
                return false;
            }
            let (timer, warning) = books.next_timers();
            (books.carrier.replace(waker), timer, warning)
        };
        drop(old);
        self.parked = true;
        let next = [timer, warning].into_iter().flatten().min();
        let requested = timer.is_some();
        // Whoever asked for a timer is told that there is none, unless its future is gone.
        if next == self.armed || !self.arm(node, next, requested && by == By::Driver) {
            if requested && self.timer.is_none() {
                node.cut_graces();
            }
            return true;
        }
        // A timer counts from its first poll; it may be due already.
        self.poll_timer(node, cx);
        if self.armed.is_none() && next.is_some() {
            self.unpark(node, by);
            return false;
        }
        true
    }

    /// Sets the timer. `false`: none is needed, or none is to be had.
    fn arm(&mut self, node: &Node, next: Option<Instant>, requested: bool) -> bool {
        self.armed = next;
        let Some(at) = next else { return false };
        if let Some(timer) = &mut self.timer {
            timer.as_mut().reset(at);
            return true;
        }
        if requested {
            self.timer = Some(Box::pin(sleep_until(at)));
            return true;
        }
        self.timer = optional_timer(id_of(node.runtime()), at);
        self.timer.is_some()
    }
}

/// A timer that nobody asked for; `None` on a runtime without one.
pub(crate) fn optional_timer(runtime: RuntimeId, at: Instant) -> Option<Pin<Box<Sleep>>> {
    let timerless = || TIMERLESS.lock().unwrap_or_else(PoisonError::into_inner);
    if timerless().contains(&runtime) {
        return None;
    }
    match catch_unwind(AssertUnwindSafe(|| Box::pin(sleep_until(at)))) {
        Ok(timer) => Some(timer),
        Err(payload) => {
            crate::wake::discard(payload);
            timerless().push(runtime);
            None
        }
    }
}

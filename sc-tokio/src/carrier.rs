//! Whoever carries a scope to its end: the driver inside the scope's future, or the reaper once
//! that future is gone. Both keep a timer and leave their waker in the books.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use crate::node::Node;
use crate::rt::{Instant, Sleep, sleep_until};

/// Set once a runtime without a timer was met. Messages about slow ends and the default bound of
/// finalizers, which nobody asked for, are then left out rather than fail the scope.
static TIMERLESS: AtomicBool = AtomicBool::new(false);

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
    pub(crate) fn unpark(&mut self, node: &Node) {
        if std::mem::take(&mut self.parked) {
            let waker = node.books().carrier.take();
            drop(waker);
        }
    }

    /// Fires the timer, if it is due.
    pub(crate) fn poll_timer(&mut self, node: &Arc<Node>, cx: &mut Context<'_>) {
        if self.armed.is_none() {
            return;
        }
        let Some(timer) = &mut self.timer else { return };
        if timer.as_mut().poll(cx).is_ready() {
            self.armed = None;
            node.tick();
        }
    }

    /// Ends a poll. `false`: something changed meanwhile, look again.
    pub(crate) fn park(&mut self, node: &Arc<Node>, cx: &mut Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let (old, timer, warning) = {
            let mut books = node.books();
            if std::mem::take(&mut books.changed) {
                return false;
            }
            let (timer, warning) = books.next_timers();
            (books.carrier.replace(waker), timer, warning)
        };
        drop(old);
        self.parked = true;
        let next = [timer, warning].into_iter().flatten().min();
        if next == self.armed || !self.arm(next, timer == next) {
            return true;
        }
        // A timer counts from its first poll; it may be due already.
        self.poll_timer(node, cx);
        if self.armed.is_none() && next.is_some() {
            self.unpark(node);
            return false;
        }
        true
    }

    /// Sets the timer. `false`: none is needed, or none is to be had.
    fn arm(&mut self, next: Option<Instant>, requested: bool) -> bool {
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
        if TIMERLESS.load(Ordering::Relaxed) {
            return false;
        }
        let timer = catch_unwind(AssertUnwindSafe(|| Box::pin(sleep_until(at))));
        match timer {
            Ok(timer) => {
                self.timer = Some(timer);
                true
            }
            Err(payload) => {
                crate::wake::discard(payload);
                TIMERLESS.store(true, Ordering::Relaxed);
                false
            }
        }
    }
}

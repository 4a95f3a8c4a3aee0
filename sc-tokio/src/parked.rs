//! Outputs that nobody took, of children whose handles were dropped before they ended.
//!
//! Tokio drops such an output after the child's own wrapper has returned, and so after its hold is
//! gone: the scope could resolve before the output's destructor has run (P1). So a handle that is
//! dropped early, of a child whose output has a destructor, is parked here, and the drain waits for
//! it and drops the output itself. Children with trivial outputs pay nothing.

use std::task::{Context, Poll};

use crate::rt::{self, JoinHandle};
use crate::wake::drop_quietly;

/// A parked output. Its type is forgotten; what is left is to wait and to drop.
pub(crate) trait Parked: Send {
    /// Resolves when the output has been dropped, with the panic of its destructor.
    fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<Option<sc_core::Panic>>;
    fn is_finished(&self) -> bool;
}

impl<T: Send> Parked for JoinHandle<T> {
    fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<Option<sc_core::Panic>> {
        rt::poll_unconstrained(self, cx).map(drop_quietly)
    }

    fn is_finished(&self) -> bool {
        JoinHandle::is_finished(self)
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct ParkedOutputs {
    outputs: Vec<Box<dyn Parked>>,
    sweep_at: usize,
}

impl ParkedOutputs {
    /// Parks an output. Gives back those that have come, to be dropped without the lock with
    /// [`drop_finished`]: the list stays in proportion to the children that live (P11).
    pub(crate) fn park(&mut self, output: Box<dyn Parked>) -> Vec<Box<dyn Parked>> {
        self.outputs.push(output);
        if self.outputs.len() < self.sweep_at.max(32) {
            return Vec::new();
        }
        let (finished, living) = std::mem::take(&mut self.outputs).into_iter().partition(|p| p.is_finished());
        self.outputs = living;
        self.sweep_at = self.outputs.len() * 2;
        finished
    }

    pub(crate) fn take(&mut self) -> Vec<Box<dyn Parked>> {
        std::mem::take(&mut self.outputs)
    }

    pub(crate) fn put_back(&mut self, outputs: Vec<Box<dyn Parked>>) {
        self.outputs.extend(outputs);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }
}

/// Drops outputs that have come. Dropping the handle would do it too, but Tokio swallows a
/// destructor's panic there, and nothing is to be lost (P4). Gives the panics, and what has not come
/// after all.
pub(crate) fn drop_finished(outputs: Vec<Box<dyn Parked>>) -> (Vec<sc_core::Panic>, Vec<Box<dyn Parked>>) {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut panics = Vec::new();
    let mut left = Vec::new();
    for mut output in outputs {
        match output.poll_drop(&mut cx) {
            Poll::Ready(panic) => panics.extend(panic),
            Poll::Pending => left.push(output),
        }
    }
    (panics, left)
}

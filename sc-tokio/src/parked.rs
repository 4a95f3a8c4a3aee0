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

/// One of them, and of which daemon it is: what a daemon will give cannot be waited for before the daemon is stopped.
pub(crate) struct Output {
    handle: Box<dyn Parked>,
    daemon: Option<u64>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct ParkedOutputs {
    outputs: Vec<Output>,
    sweep_at: usize,
}

impl ParkedOutputs {
    /// Parks an output. Gives back those that have come, to be dropped without the lock with
    /// [`drop_finished`]: the list stays in proportion to the children that live (P11).
    pub(crate) fn park(&mut self, handle: Box<dyn Parked>, daemon: Option<u64>) -> Vec<Output> {
        self.outputs.push(Output { handle, daemon });
        if self.outputs.len() < self.sweep_at.max(32) {
            return Vec::new();
        }
        let (finished, living) = std::mem::take(&mut self.outputs).into_iter().partition(|p| p.handle.is_finished());
        self.outputs = living;
        self.sweep_at = self.outputs.len() * 2;
        finished
    }

    pub(crate) fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    pub(crate) fn put_back(&mut self, outputs: Vec<Output>) {
        self.outputs.extend(outputs);
    }

    /// Whether those are dropped that the drain waits for.
    pub(crate) fn is_drained(&self) -> bool {
        self.outputs.iter().all(|output| output.daemon.is_some())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }
}

/// Drops outputs that have come. Dropping the handle would do it too, but Tokio swallows a
/// destructor's panic there, and nothing is to be lost (P4).
pub(crate) fn drop_finished(outputs: Vec<Output>, cx: &mut Context<'_>) -> Dropped {
    let mut dropped = Dropped::default();
    for mut output in outputs {
        match output.handle.poll_drop(cx) {
            Poll::Ready(panic) => {
                dropped.panics.extend(panic);
                dropped.daemons.extend(output.daemon);
            }
            Poll::Pending => dropped.left.push(output),
        }
    }
    dropped
}

/// What came of dropping outputs.
#[derive(Default)]
pub(crate) struct Dropped {
    pub(crate) panics: Vec<sc_core::Panic>,
    /// The daemons whose they were.
    pub(crate) daemons: Vec<u64>,
    pub(crate) left: Vec<Output>,
}

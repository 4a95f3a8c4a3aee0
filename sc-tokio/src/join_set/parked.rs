//! What is left of a set that was dropped: tasks that are being stopped, and outputs that nobody took.
//!
//! Tokio's set would abort the tasks, whatever their grace, and drop their outputs after their holds are gone (P1). So what
//! is left of it is parked with the scope, which drops the outputs itself.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::discard;
use crate::child::{Gone, park_output};
use crate::node::Node;
use crate::parked::Parked;
use crate::rt::{AbortHandle, JoinSet, unconstrained};

struct ParkedSet<T> {
    node: Arc<Node>,
    inner: JoinSet<(u64, Result<T, Gone>)>,
    tasks: Vec<AbortHandle>,
}

pub(super) fn park<T: Send + 'static>(
    node: &Arc<Node>,
    mut inner: JoinSet<(u64, Result<T, Gone>)>,
    tasks: Vec<AbortHandle>,
) {
    if !std::mem::needs_drop::<T>() {
        return inner.detach_all();
    }
    let mut parked = ParkedSet { node: Arc::clone(node), inner, tasks };
    // What has come is dropped here and now, as with a handle.
    if parked.poll_drop(&mut Context::from_waker(Waker::noop())).is_pending() {
        park_output(node, Box::new(parked), None);
    }
}

impl<T: Send + 'static> Parked for ParkedSet<T> {
    fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<Option<sc_core::Panic>> {
        loop {
            let mut next = unconstrained(poll_fn(|cx| self.inner.poll_join_next(cx)));
            match std::task::ready!(Pin::new(&mut next).poll(cx)) {
                Some(Ok((id, output))) => discard(&self.node, id, output),
                // Dropped with its runtime.
                Some(Err(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_finished(&self) -> bool {
        self.tasks.iter().all(AbortHandle::is_finished)
    }
}

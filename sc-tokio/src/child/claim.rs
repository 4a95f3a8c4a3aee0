//! Whose the failure of a child is, as the holder of its handle finds out.

use std::sync::Arc;
use std::task::{Context, Poll};

use sc_core::{ChildId, Claim, Failure, Reason};

use super::Gone;
use crate::fault::Fault;
use crate::node::Node;
use crate::waiting::Waiting;

/// The failure of a child that gave no value; pending while the policy has yet to decide whose it is.
pub(crate) fn poll_failure(
    node: &Arc<Node>,
    id: u64,
    gone: &Gone,
    waiting: &mut Waiting,
    cx: &mut Context<'_>,
) -> Poll<Fault> {
    if let Some(fault) = failure_now(node, id, gone) {
        return Poll::Ready(fault);
    }
    waiting.wait(node, cx);
    // It may have been settled before we were on the list.
    failure_now(node, id, gone).map_or(Poll::Pending, Poll::Ready)
}

/// As [`poll_failure`], without waiting.
pub(crate) fn failure_now(node: &Arc<Node>, id: u64, gone: &Gone) -> Option<Fault> {
    match gone {
        Gone::Cancelled(Some(cancelled)) => Some(Failure::Cancelled(cancelled.clone())),
        Gone::Cancelled(None) => Some(Failure::Cancelled(node.why(Reason::RuntimeEnded))),
        Gone::AwaitedDead | Gone::Failed => {
            let claim = node.books().scope.claim(ChildId::new(id));
            match claim {
                Claim::Failure(fault) => Some(fault),
                Claim::OwnedByScope if matches!(gone, Gone::AwaitedDead) => {
                    Some(Failure::Cancelled(node.why(Reason::AwaitedChild)))
                }
                Claim::OwnedByScope => Some(Failure::OwnedByScope),
                Claim::Pending => None,
            }
        }
    }
}

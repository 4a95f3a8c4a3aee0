//! Custom policies: asked about one exit at a time, in order, and never under a lock.

use std::fmt::Debug;
use std::sync::Arc;

use sc_core::{ChildExit, DeadChild, Failure, Member, Panic, Policy, QueuedExit, Verdict};

use crate::fault::{self, BoxedError};
use crate::frame::{Ambient, Opened, Ran, Resting, Who};
use crate::node::Node;
use crate::rt::Instant;

/// A policy whose error type the books do not know.
pub(crate) trait Judge: Send + 'static {
    /// Judges an exit, and leaves its failure in place whatever the policy does.
    fn judge(&mut self, node: &Arc<Node>, exit: &mut QueuedExit<BoxedError>) -> Result<Verdict, Panic>;
}

pub(crate) struct Typed<P, E> {
    policy: P,
    error: std::marker::PhantomData<fn(E)>,
}

impl<P: Policy<E>, E: Debug + Send + 'static> Typed<P, E> {
    pub(crate) fn boxed(policy: P) -> Box<dyn Judge> {
        Box::new(Self { policy, error: std::marker::PhantomData })
    }
}

impl<P: Policy<E>, E: Debug + Send + 'static> Judge for Typed<P, E> {
    fn judge(&mut self, node: &Arc<Node>, exit: &mut QueuedExit<BoxedError>) -> Result<Verdict, Panic> {
        let failure: Option<Failure<E>> = exit.failure.take().map(fault::restore);
        let seen = ChildExit::new(&exit.member, failure.as_ref(), exit.failures_before);
        // In the scope's name, wherever the exit happened: what the policy spawns belongs to the scope.
        let mut frame = Resting::new(Ambient::Plain(Arc::clone(node)), Who::BODY, Opened::default());
        let (ran, _) = frame.run(|| self.policy.decide(&seen));
        exit.failure = failure.map(fault::erase);
        if let Some(mut frame) = frame.take() {
            frame.opened.end();
        }
        match ran {
            Ran::Done(verdict) => Ok(verdict),
            Ran::Panicked(panic) => Err(panic),
            Ran::DeadChild => Err(DeadChild::into_panic()),
        }
    }
}

/// Has the policy judge what is queued. One pumper at a time: who finds `judging` set leaves its
/// exit to the one who set it.
pub(crate) fn pump(node: &Arc<Node>) {
    let Some(mut policy) = node.books().policy.take() else { return };
    loop {
        let exit = {
            let mut books = node.books();
            let exit = books.scope.next_exit_to_judge();
            if exit.is_none() {
                books.judging = false;
                // Put back under the same lock that ends the turn, so that the next pumper finds it.
                if !node.is_closed() {
                    books.policy = Some(policy);
                    return;
                }
            }
            exit
        };
        let Some(mut exit) = exit else { break };
        let verdict = policy.judge(node, &mut exit);
        let now = Instant::now().into_std();
        node.input(|books| books.scope.judged(exit, verdict, now));
    }
    if let Some(panic) = crate::wake::drop_quietly(policy) {
        node.own_failure(Member::policy(), panic);
    }
}

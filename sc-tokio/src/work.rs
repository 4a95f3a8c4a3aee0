//! What follows from a change of the books and is done after the lock is released.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use sc_core::{Cancelled, FailureRecord, Member, Origin, ScopeId};

use crate::books::Parent;
use crate::events::{self, Notice};
use crate::fault::BoxedError;
use crate::hold::Hold;
use crate::judge;
use crate::node::Node;
use crate::rt::{AbortHandle, CancellationToken};
use crate::shield::{Frames, Wake};
use crate::wake::{drop_quietly, wake_all};

/// What an ancestor's change means for a scope below.
enum Change {
    Cancel(Cancelled, Option<Instant>),
    /// That of the scope above, given here, has moved.
    Deadline(Arc<Node>),
    Hasten(Option<Instant>),
}

/// See the module. Done in the order of the fields: first every book is written (P6), then those
/// are woken who may look into them, then user code runs.
#[derive(Default)]
#[must_use]
pub(crate) struct Work {
    /// The place of a scope that has closed: what most work consists of, if there is any.
    closed: Option<Parent>,
    todo: Option<Box<Todo>>,
}

/// Boxed, since most changes mean nothing for anybody else: then there is nothing to make, to look
/// through or to drop.
#[derive(Default)]
struct Todo {
    below: VecDeque<(Arc<Node>, Change)>,
    /// Further ones.
    closed: Vec<Parent>,
    tokens: Vec<CancellationToken>,
    /// Shields whose time runs: in whose books, around whom, which, until when.
    ends_of_shields: Vec<(Arc<Node>, u64, ScopeId, crate::rt::Instant)>,
    /// Members that are shielded no longer, and by which shield.
    unshielded: Vec<(Frames, ScopeId)>,
    aborts: Vec<AbortHandle>,
    released: Vec<Hold>,
    wakers: Vec<Waker>,
    judge: Vec<Arc<Node>>,
    notices: Vec<Notice>,
    unhandled: Vec<(Origin, FailureRecord<BoxedError>)>,
    discarded: Vec<(Arc<Node>, Box<dyn Send>)>,
}

impl Work {
    fn todo(&mut self) -> &mut Todo {
        self.todo.get_or_insert_default()
    }

    pub(crate) fn cancel_below(&mut self, node: &Arc<Node>, cancelled: &Cancelled, stop_at: Option<Instant>) {
        self.todo().below.push_back((Arc::clone(node), Change::Cancel(cancelled.clone(), stop_at)));
    }

    pub(crate) fn deadline_below(&mut self, node: &Arc<Node>, parent: &Arc<Node>) {
        self.todo().below.push_back((Arc::clone(node), Change::Deadline(Arc::clone(parent))));
    }

    pub(crate) fn hasten_below(&mut self, node: &Arc<Node>, stop_at: Option<Instant>) {
        self.todo().below.push_back((Arc::clone(node), Change::Hasten(stop_at)));
    }

    /// Lets go of what kept a scope open.
    pub(crate) fn release(&mut self, hold: Option<Hold>) {
        if let Some(hold) = hold {
            self.todo().released.push(hold);
        }
    }

    pub(crate) fn closed(&mut self, parent: Option<Parent>) {
        let Some(parent) = parent else { return };
        if let Some(another) = self.closed.replace(parent) {
            self.todo().closed.push(another);
        }
    }

    pub(crate) fn cancel_token(&mut self, token: CancellationToken) {
        self.todo().tokens.push(token);
    }

    pub(crate) fn expect_end_of_shield(
        &mut self,
        node: &Arc<Node>,
        member: u64,
        shield: ScopeId,
        at: crate::rt::Instant,
    ) {
        self.todo().ends_of_shields.push((Arc::clone(node), member, shield, at));
    }

    pub(crate) fn unshield(&mut self, frames: Frames, shield: ScopeId) {
        self.todo().unshielded.push((frames, shield));
    }

    pub(crate) fn abort(&mut self, tasks: impl IntoIterator<Item = AbortHandle>) {
        let mut tasks = tasks.into_iter().peekable();
        if tasks.peek().is_some() {
            self.todo().aborts.extend(tasks);
        }
    }

    pub(crate) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        let mut wakers = wakers.into_iter().peekable();
        if wakers.peek().is_some() {
            self.todo().wakers.extend(wakers);
        }
    }

    pub(crate) fn judge(&mut self, node: &Arc<Node>) {
        self.todo().judge.push(Arc::clone(node));
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        if events::is_enabled(&notice) {
            self.todo().notices.push(notice);
        }
    }

    pub(crate) fn unhandled(&mut self, origin: &Origin, records: Vec<FailureRecord<BoxedError>>) {
        if !records.is_empty() {
            self.todo().unhandled.extend(records.into_iter().map(|record| (origin.clone(), record)));
        }
    }

    /// Drops a value of the user's; a panic of its destructor is this scope's.
    pub(crate) fn discard(&mut self, node: &Arc<Node>, value: Option<impl Send + 'static>) {
        if let Some(value) = value {
            self.todo().discarded.push((Arc::clone(node), Box::new(value)));
        }
    }

    pub(crate) fn run(mut self) {
        // In a loop: a tree of any depth is cancelled in constant stack (P11).
        loop {
            while let Some((node, change)) = self.todo.as_mut().and_then(|todo| todo.below.pop_front()) {
                match change {
                    Change::Cancel(cancelled, stop_at) => node.inherit(&cancelled, stop_at, &mut self),
                    Change::Deadline(parent) => node.inherit_deadline(&parent, &mut self),
                    Change::Hasten(stop_at) => node.hasten(stop_at, &mut self),
                }
            }
            let parent = self.closed.take().or_else(|| self.todo.as_mut().and_then(|todo| todo.closed.pop()));
            let Some(parent) = parent else { break };
            let entry = parent.node.books().nested.leave(parent.slot);
            drop(entry);
            if let Some(daemon) = parent.daemon {
                parent.node.daemon_scope_closed(daemon, &mut self);
            }
            drop(parent);
        }
        if let Some(todo) = self.todo {
            todo.run();
        }
    }
}

impl Todo {
    fn run(mut self) {
        for token in self.tokens.drain(..) {
            // Runs the wakers of whoever waits for the token.
            let _ = drop_quietly(CancelOnDrop(token));
        }
        for (node, member, shield, at) in self.ends_of_shields.drain(..) {
            node.expect_end_of_shield(member, shield, at);
        }
        for (frames, shield) in self.unshielded.drain(..) {
            let wake = Wake::around(&frames);
            for (node, member) in frames {
                node.unshield(member, Some(shield), wake);
            }
        }
        // Before the wakers: a queued blocking closure that is woken is taken out of its queue.
        for abort in self.aborts.drain(..) {
            abort.abort();
        }
        // Each may drain a scope, which is a change of its own with its own work.
        drop(self.released);
        wake_all(self.wakers.drain(..));
        for node in self.judge.drain(..) {
            judge::pump(&node);
        }
        for notice in self.notices.drain(..) {
            events::tell(&notice);
        }
        for (origin, record) in self.unhandled.drain(..) {
            crate::hook::unhandled(&origin, record);
        }
        for (node, value) in self.discarded.drain(..) {
            if let Some(panic) = drop_quietly(value) {
                node.own_failure(Member::policy(), panic);
            }
        }
    }
}

/// Cancels a token in a destructor, where [`drop_quietly`] catches what its waiters' wakers do.
struct CancelOnDrop(CancellationToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

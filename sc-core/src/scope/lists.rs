//! What few scopes need, each made by whoever needs it first: a scope in which nothing fails keeps two empty words.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::{QueuedExit, Scope};
use crate::failure_log::FailureLog;
use crate::{ChildId, FailureRecord};

/// What failed, and whose that is. Made by the first failure, or by the first handle that may claim one.
#[derive(Debug)]
pub(super) struct Failures<E> {
    pub(super) log: FailureLog<E>,
    /// Failures that belong to whoever joins the child, until claimed.
    pub(super) claimable: BTreeMap<ChildId, FailureRecord<E>>,
    /// Children whose handles may claim a failure; see [`Scope::expect_claim`].
    pub(super) handles: BTreeSet<ChildId>,
    pub(super) to_judge: VecDeque<QueuedExit<E>>,
    /// The failure that the policy is looking at right now.
    pub(super) judging: Option<ChildId>,
    /// How many children have failed.
    pub(super) children: u64,
}

impl<E> Default for Failures<E> {
    fn default() -> Self {
        Self {
            log: FailureLog::new(),
            claimable: BTreeMap::new(),
            handles: BTreeSet::new(),
            to_judge: VecDeque::new(),
            judging: None,
            children: 0,
        }
    }
}

/// The daemons that have not ended. Made by the first.
#[derive(Debug, Default)]
pub(super) struct Daemons {
    pub(super) all: BTreeMap<ChildId, Daemon>,
    /// Whose turn it is to stop.
    pub(super) stopping: Option<StoppingDaemon>,
}

/// A daemon is on the list until it has exited and the scopes it opened are closed.
#[derive(Debug, Default)]
pub(super) struct Daemon {
    pub(super) exited: bool,
    pub(super) scopes: usize,
    /// Its own, instead of the scope's.
    pub(super) grace: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct StoppingDaemon {
    pub(super) id: ChildId,
    pub(super) stop_at: Option<Instant>,
    /// Which nobody but the lack of a timer shortens (P9).
    pub(super) has_own_grace: bool,
    pub(super) stopped: bool,
}

impl<E> Scope<E> {
    pub(super) fn failures_mut(&mut self) -> &mut Failures<E> {
        self.failures.get_or_insert_default()
    }

    pub(super) fn log(&self) -> Option<&FailureLog<E>> {
        self.failures.as_ref().map(|failures| &failures.log)
    }

    pub(super) fn has_primary(&self) -> bool {
        self.log().is_some_and(FailureLog::has_primary)
    }

    pub(super) fn stopping_daemon(&self) -> Option<&StoppingDaemon> {
        self.daemons.as_ref()?.stopping.as_ref()
    }

    pub(super) fn stopping_daemon_mut(&mut self) -> Option<&mut StoppingDaemon> {
        self.daemons.as_mut()?.stopping.as_mut()
    }
}

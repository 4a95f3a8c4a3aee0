//! What is known about one scope from outside: what the binding has done with it, what its code is
//! up to, and what the promises say has to become of it.
//!
//! The last part is the oracle. It is written from the promises, in the simplest way that decides
//! them, and never looks at the scope's own fields.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use sc_core::{Config, Deadline, Member, Origin, OutcomeKind, QueuedExit, Reason, ScopeId, Told};

use super::machine::{Ending, Fault, Machine};
use super::setup::ScopeSetup;
use super::words::{How, Tag};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Absent,
    Refused,
    /// Accepted and never polled.
    Ready,
    Running,
    Ended(How),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handle {
    None,
    Held,
    /// Asked too early; asks again when failures are settled.
    Waiting,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) stage: Stage,
    pub(crate) told_by_handle: bool,
    pub(crate) handle: Handle,
    /// Has signalled, if it had to.
    pub(crate) ready: bool,
}

impl Task {
    pub(crate) fn alive(&self) -> bool {
        matches!(self.stage, Stage::Ready | Stage::Running)
    }

    /// Whether awaiting it could give no value.
    pub(crate) fn dead(&self) -> bool {
        matches!(self.stage, Stage::Refused | Stage::Ended(_)) && self.stage != Stage::Ended(How::Ok)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Running,
    Value,
    Ended,
}

/// Where a scope's future is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    InItsFrame,
    Dropped,
    /// Not polled any more, and its opener has not ended.
    Forgotten,
    /// Its opener has ended; it may still be dropped somewhere.
    Orphaned,
}

/// A cancellation as the promises order it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ordered {
    pub(crate) reason: Reason,
    pub(crate) origin: usize,
    pub(crate) inherited: bool,
    pub(crate) stop_at: u32,
}

/// The end of a grace without one.
pub(crate) const NEVER: u32 = u32::MAX;

/// The daemon that is being stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopping {
    pub(crate) task: usize,
    pub(crate) stop_at: u32,
    pub(crate) dropped: bool,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent latches of the binding")]
pub(crate) struct Book {
    pub(crate) machine: Machine,
    pub(crate) opened: bool,
    pub(crate) tasks: Vec<Task>,
    pub(crate) body: Body,
    pub(crate) place: Place,

    // What the binding keeps.
    pub(crate) count: u32,
    pub(crate) spawned: u64,
    pub(crate) armed: Option<Instant>,
    pub(crate) refusing: bool,
    pub(crate) signalled: bool,
    pub(crate) stopped: bool,
    pub(crate) adopted: bool,
    pub(crate) drained: bool,
    pub(crate) closed: bool,
    pub(crate) stopping: Option<Stopping>,
    pub(crate) judging: Option<QueuedExit<Tag>>,
    /// Finalizers that have not run, in the order of their registration.
    pub(crate) finalizers: Vec<usize>,
    pub(crate) registered: usize,
    pub(crate) finalizer: Option<usize>,
    pub(crate) finalizing: bool,
    pub(crate) ending: Option<Ending>,

    // What was used up of the setup's lists.
    pub(crate) cancels: usize,
    pub(crate) moves: usize,
    pub(crate) shut_downs: usize,

    // The oracle.
    pub(crate) deadline: Option<u32>,
    pub(crate) cancel: Option<Ordered>,
    /// The scope's own grace, until a shutdown takes its place.
    pub(crate) grace: Option<u32>,
    /// An outer cancellation that a shield holds back, and until when.
    pub(crate) held_back: Option<u32>,
    pub(crate) shield_over: bool,
    pub(crate) primary: Option<Tag>,
    pub(crate) cut_short: bool,
    pub(crate) refused: u64,
    pub(crate) injected: BTreeSet<Tag>,
    /// Failures that were delivered before the end: claimed, or given to the failure hook.
    pub(crate) delivered: Vec<Tag>,
    /// How many of them there was no room for.
    pub(crate) hooked: u64,
    /// Exits that the policy has to judge; whether each was a failure, and with which tag.
    pub(crate) to_judge: VecDeque<(usize, bool, Option<Tag>)>,
    pub(crate) waiting_since: Option<u32>,
    /// A child's failure that became the body's own, since the body awaited it.
    pub(crate) awaited: Option<Tag>,
}

impl Book {
    pub(crate) fn new(s: usize, setup: &ScopeSetup, now: u32, fault: Option<Fault>) -> Self {
        let config = Config {
            origin: origin(s),
            watch: setup.watch,
            grace: setup.grace.map(units),
            warn_after: setup.warn_after.map_or(Duration::from_secs(3600), units),
            deadline: setup.deadline.map(|at| deadline(s, at)),
            opened_at: Some(instant(now)),
        };
        let task = || Task { stage: Stage::Absent, told_by_handle: false, handle: Handle::None, ready: false };
        Self {
            machine: Machine::new(config, fault),
            opened: false,
            tasks: setup.tasks.iter().map(|_| task()).collect(),
            body: Body::Running,
            place: Place::InItsFrame,
            count: 1,
            spawned: 0,
            armed: None,
            refusing: false,
            signalled: false,
            stopped: false,
            adopted: false,
            drained: false,
            closed: false,
            stopping: None,
            judging: None,
            finalizers: Vec::new(),
            registered: 0,
            finalizer: None,
            finalizing: false,
            ending: None,
            cancels: 0,
            moves: 0,
            shut_downs: 0,
            deadline: setup.deadline,
            cancel: None,
            grace: setup.grace,
            held_back: None,
            shield_over: false,
            primary: None,
            cut_short: false,
            refused: 0,
            injected: BTreeSet::new(),
            delivered: Vec::new(),
            hooked: 0,
            to_judge: VecDeque::new(),
            waiting_since: None,
            awaited: None,
        }
    }

    pub(crate) fn live(&self) -> bool {
        self.opened && !self.closed
    }

    pub(crate) fn told(&self, t: usize, daemon: bool) -> Told {
        let as_daemon = self.stopping.is_some_and(|stopping| stopping.task == t);
        if self.tasks[t].told_by_handle || as_daemon {
            Told::FromInside
        } else if self.signalled && !daemon {
            Told::ByScope
        } else {
            Told::Nobody
        }
    }

    /// The first reason wins; a scope that only runs finalizers has nothing left to cancel (P6, P10).
    pub(crate) fn order_cancel(&mut self, ordered: Ordered, now: u32) {
        if self.cancel.is_none() && !self.closed && !self.finalizing {
            self.cancel = Some(ordered);
            self.waiting_since = Some(now);
        }
    }

    /// The first failure that is not continued past is primary (P5).
    pub(crate) fn order_primary(&mut self, tag: Option<Tag>) {
        if self.cancel.is_none() && self.primary.is_none() {
            self.primary = tag;
        }
    }

    /// Whose failure the scope has to say it is.
    pub(crate) fn member(&self, tag: Tag) -> Member {
        if self.awaited == Some(tag) { Member::body() } else { tag.member() }
    }

    /// How the scope has to end if it ends now with these failures (P5).
    pub(crate) fn expected_kind(&self, failures: bool) -> OutcomeKind {
        match (self.primary, self.cancel) {
            (Some(_), _) => OutcomeKind::Failed,
            (None, Some(cancel)) if self.cut_short && cancel.reason == Reason::Deadline => {
                OutcomeKind::DeadlineExceeded
            }
            (None, Some(_)) if self.cut_short => OutcomeKind::Cancelled,
            _ if failures => OutcomeKind::Partial,
            _ => OutcomeKind::Ok,
        }
    }
}

pub(crate) fn units(n: u32) -> Duration {
    Duration::from_secs(n.into())
}

/// The `n`-th instant of every world.
pub(crate) fn instant(n: u32) -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    #[allow(clippy::disallowed_methods, reason = "an arbitrary origin; an `Instant` cannot be made otherwise")]
    let start = *START.get_or_init(Instant::now);
    start + units(n)
}

pub(crate) fn origin(s: usize) -> Origin {
    Origin::new(ScopeId::new(s as u64 + 1), None, std::panic::Location::caller())
}

pub(crate) fn deadline(s: usize, at: u32) -> Deadline {
    Deadline::new(instant(at), origin(s), None)
}

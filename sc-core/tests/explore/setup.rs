//! What a world consists of: the static description from which the search starts.
//!
//! A world lists what may happen, so that each test explores one group of promises completely
//! instead of all of them a little.

use sc_core::{ChildKind, Reason, Watch};

use super::machine::Fault;
use super::words::{ClaimHow, Event, How};

/// The frame that opens a scope and whose end ends the scope's future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opener {
    /// Code outside the world.
    Root,
    /// The body of that scope.
    Body(usize),
    /// A task of that scope.
    Task(usize, usize),
}

impl Opener {
    pub(crate) const fn parent(self) -> Option<usize> {
        match self {
            Self::Root => None,
            Self::Body(parent) | Self::Task(parent, _) => Some(parent),
        }
    }
}

#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches of what may happen")]
pub(crate) struct TaskSetup {
    pub(crate) kind: ChildKind,
    pub(crate) ends: Vec<How>,
    /// Spawned by an event, by whatever frame of the scope lives, instead of by the body at once.
    pub(crate) late: bool,
    /// Its first poll is an event of its own, so that it can be cancelled before it.
    pub(crate) lazy: bool,
    /// Its handle may stop it.
    pub(crate) stop: bool,
    /// The body holds its handle, and may claim or drop it.
    pub(crate) handle: bool,
    /// A daemon's own, instead of its scope's.
    pub(crate) grace: Option<u32>,
    /// It was started: isolated until it has signalled that it is ready, which is an event.
    pub(crate) starts: bool,
}

impl TaskSetup {
    pub(crate) fn linked(ends: &[How]) -> Self {
        Self {
            kind: ChildKind::LINKED,
            ends: ends.to_vec(),
            late: false,
            lazy: false,
            stop: false,
            handle: false,
            grace: None,
            starts: false,
        }
    }

    pub(crate) fn isolated(ends: &[How]) -> Self {
        Self { kind: ChildKind { isolated: true, daemon: false }, ..Self::linked(ends) }
    }

    pub(crate) fn daemon(ends: &[How]) -> Self {
        Self { kind: ChildKind { isolated: false, daemon: true }, ..Self::linked(ends) }
    }

    pub(crate) fn late(mut self) -> Self {
        self.late = true;
        self
    }

    pub(crate) fn lazy(mut self) -> Self {
        self.lazy = true;
        self
    }

    pub(crate) fn stoppable(mut self) -> Self {
        self.stop = true;
        self
    }

    pub(crate) fn with_grace(mut self, grace: u32) -> Self {
        self.grace = Some(grace);
        self
    }

    pub(crate) fn starting(mut self) -> Self {
        self.starts = true;
        self
    }

    pub(crate) fn with_handle(mut self) -> Self {
        self.handle = true;
        self
    }
}

#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches of what may happen")]
pub(crate) struct ScopeSetup {
    pub(crate) watch: Watch,
    pub(crate) opener: Opener,
    /// Opened by an event instead of before the first one.
    pub(crate) late: bool,
    pub(crate) grace: Option<u32>,
    pub(crate) warn_after: Option<u32>,
    pub(crate) deadline: Option<u32>,
    /// The own deadline moves to these, in this order.
    pub(crate) deadlines: Vec<Option<u32>>,
    /// Somebody cancels for these reasons, in this order.
    pub(crate) cancels: Vec<Reason>,
    pub(crate) body: Vec<How>,
    pub(crate) tasks: Vec<TaskSetup>,
    /// The body registers that many finalizers at once; with `defer` one more comes late.
    pub(crate) finalizers: usize,
    pub(crate) defer: bool,
    pub(crate) finalizer_ends: Vec<How>,
    pub(crate) drop: bool,
    pub(crate) forget: bool,
    /// What is dropped may panic in a destructor.
    pub(crate) destructors: bool,
    pub(crate) claims: Vec<ClaimHow>,
    /// The runtime may end under the drained scope.
    pub(crate) runtime_ends: bool,
    /// It has an owner instead of a body: the cancellation ends that at once, with a value.
    pub(crate) owned: bool,
    /// Its owner shuts it down, with so long a grace (`None`: without end), in this order.
    pub(crate) shut_downs: Vec<Option<u32>>,
    /// Graces may be cut, as where there is no timer.
    pub(crate) cuts: bool,
    /// An outer cancellation comes through only so long after it took place, and no outer deadline does.
    pub(crate) shield: Option<u32>,
}

impl ScopeSetup {
    pub(crate) fn new(tasks: Vec<TaskSetup>) -> Self {
        Self {
            watch: Watch::FailFast,
            opener: Opener::Root,
            late: false,
            grace: None,
            warn_after: None,
            deadline: None,
            deadlines: Vec::new(),
            cancels: Vec::new(),
            body: vec![How::Ok],
            tasks,
            finalizers: 0,
            defer: false,
            finalizer_ends: vec![How::Ok],
            drop: false,
            forget: false,
            destructors: false,
            claims: Vec::new(),
            runtime_ends: false,
            owned: false,
            shut_downs: Vec::new(),
            cuts: false,
            shield: None,
        }
    }
}

/// A world: one scope, or an outer and a nested one.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) name: &'static str,
    pub(crate) scopes: Vec<ScopeSetup>,
    /// Time stops here where only repeated warnings would move it on.
    pub(crate) horizon: u32,
    /// Without a timer, time stands still and nothing ticks.
    pub(crate) timer: bool,
    pub(crate) fault: Option<Fault>,
    /// What has happened when the search begins.
    pub(crate) prologue: Vec<Event>,
}

impl Setup {
    pub(crate) fn new(name: &'static str, scopes: Vec<ScopeSetup>) -> Self {
        Self { name, scopes, horizon: 4, timer: true, fault: None, prologue: Vec::new() }
    }

    pub(crate) fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}

//! The language: trees of scopes and tasks, and how random ones are made.
//!
//! Everything that a program does is preceded by a sleep, and the lengths of all sleeps, time-outs and graces have a
//! fine part that is theirs alone. An instant is a sum of the lengths that led to it, so two events at one instant
//! have one cause: the order of what is not connected is not asked for. Sums that meet all the same are ties, and the
//! model gives up on them: what follows from ties is for races and for the search through schedules.

mod generate;
mod show;

pub(crate) use generate::program;
pub(crate) use show::readable;

/// A length of time. `coarse` is what is generated and shrunk; `ms` is made distinct from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    coarse: u8,
    pub(crate) ms: u64,
}

/// The root scope of a program, numbered.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) root: Scope,
    /// How many seats each limit has; scopes may share one.
    pub(crate) limits: [u8; 2],
}

#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) id: usize,
    pub(crate) supervise: bool,
    pub(crate) timeout: Option<Span>,
    pub(crate) grace: Option<Span>,
    pub(crate) finalizer_timeout: Span,
    /// Which limit its children are under.
    pub(crate) limit: Option<usize>,
    pub(crate) body: Code,
}

/// What a frame runs: the body of a scope, or a child.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) id: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) last: Span,
    pub(crate) end: End,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) sleep: Span,
    pub(crate) act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Value,
    Error,
    Panic,
}

/// A handle is named by a number that is taken modulo the number of handles that the frame has; without any, nothing
/// is done.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// A child of the frame's scope; frames without access to their scope do nothing.
    Spawn(Task),
    Await(u8),
    Join(u8),
    /// `Child::cancel`, and whether its end is waited for.
    Stop(u8, bool),
    DropHandle(u8),
    /// `mem::forget` of a handle.
    ForgetHandle(u8),
    Cancel,
    CancelChildren,
    /// A scope inside: with its outcome observed.
    Nest(Box<Scope>),
    /// A scope inside whose future is dropped after a while.
    NestDropped(Box<Scope>, Span),
    /// A scope inside whose error is, after another sleep, this frame's.
    NestTried(Box<Scope>, Span),
    /// A scope inside whose future is forgotten after a while.
    NestForgotten(Box<Scope>, Span),
    Defer(Finalizer),
    /// `Scope::start`, given up after a while or not.
    Start(Task, Option<Span>),
    /// `Scope::reserve`, and a child on the seat; in a body, others do nothing (a child with a seat would wait for itself).
    Reserve(Task),
    /// A child that was started says that it is ready; others do nothing.
    Signal,
    Shield(Box<Shield>),
    /// A join, whose result is observed.
    /// `sc_tokio::spawn`: a task of the frame's own scope, whichever that is.
    Ambient(Task),
    /// Awaits such a task, by a number as handles have.
    JoinAmbient(u8),
    /// `JoinHandle::abort`, and the handle is dropped.
    Abort(u8),
    Group(Box<Group>),
    Resource(Box<Resource>),
}

/// Something that is acquired, and released at the end of the scope.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// What acquires it: an isolated child, shielded for as long as a finalizer may take.
    pub(crate) acquire: Task,
    pub(crate) release: Finalizer,
    /// A share of it leaves the scope.
    pub(crate) leaks: bool,
}

/// Children of a join, and how it is set up.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: usize,
    pub(crate) how: How,
    pub(crate) parallel: bool,
    /// How many run at once.
    pub(crate) width: Option<usize>,
    pub(crate) timeout: Option<Span>,
    pub(crate) grace: Option<Span>,
    pub(crate) members: Vec<Task>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    All,
    Map,
    ForEach,
    Settle,
    FirstOk,
    Quorum(usize),
}

/// Code that is shielded for so long; its error is the frame's, after a while.
#[derive(Debug, Clone)]
pub(crate) struct Shield {
    pub(crate) limit: Span,
    pub(crate) code: Code,
    pub(crate) after: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Finalizer {
    pub(crate) id: usize,
    pub(crate) takes: Span,
    pub(crate) end: End,
    /// The number of what acquired the resource that it releases.
    pub(crate) of: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `spawn`: without access to the scope.
    Plain,
    /// `spawn_with`: spawns siblings, and cancels.
    With,
    /// `spawn_borrowed` where the frame is a body, else as `Plain`.
    Borrowed,
    /// A daemon, without access to the scope.
    Daemon,
    /// Of [`Act::Ambient`].
    Ambient,
}

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) kind: Kind,
    pub(crate) isolated: bool,
    pub(crate) timeout: Option<Span>,
    pub(crate) grace: Option<Span>,
    /// As a whole, for so long.
    pub(crate) shielded: Option<Span>,
    pub(crate) code: Code,
}

impl Code {
    /// The greatest number in here.
    pub(crate) fn last_id(&self) -> usize {
        let inside = self.steps.iter().map(|step| match &step.act {
            Act::Spawn(task) | Act::Start(task, _) | Act::Reserve(task) | Act::Ambient(task) => task.code.last_id(),
            Act::Nest(scope) | Act::NestDropped(scope, _) | Act::NestTried(scope, _) | Act::NestForgotten(scope, _) => {
                scope.body.last_id()
            }
            Act::Defer(finalizer) => finalizer.id,
            Act::Shield(shield) => shield.code.last_id(),
            Act::Group(group) => group.last_id(),
            Act::Resource(resource) => resource.release.id,
            _ => self.id,
        });
        inside.max().unwrap_or(self.id).max(self.id)
    }
}

impl Group {
    pub(crate) fn last_id(&self) -> usize {
        self.members.iter().map(|task| task.code.last_id()).max().unwrap_or(self.id)
    }
}

/// One unit of the coarse part, in milliseconds. Long enough that sums of the fine parts nearly never meet, and short
/// enough that what looks every ten seconds (a scope that takes long) does not look too often.
const UNIT: u64 = 1 << 16;

//! The words in which a scope is spoken to.

use std::time::{Duration, Instant};

use crate::{Cause, Failure, Origin, Panic, Reason, Watch};

/// Where a scope is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The body runs, nothing is cancelled.
    Open,
    /// The body has ended, nothing is cancelled: waits for children, accepts new ones from them.
    Closing,
    /// Cancelled, or out of ordinary children: waits for what is left, refuses new children.
    Draining,
    /// Every child has ended: finalizers run.
    Finalizing,
    /// Everything has ended.
    Closed,
}

/// What a scope is told when it is made.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which scope this is.
    pub origin: Origin,
    /// How its policy wants to be asked.
    pub watch: Watch,
    /// From cancellation to the drop of what still runs; `None`: the parent's instant, or at once.
    pub grace: Option<Duration>,
    /// After how long a drain, or a closing, is worth a message.
    pub warn_after: Duration,
    /// The scope's own deadline.
    pub deadline: Option<crate::Deadline>,
    /// The time of the first poll, from which the report measures. `None`: nobody asks for the report, and none is made
    /// of a scope in which nothing failed and nothing was cancelled.
    pub opened_at: Option<Instant>,
}

/// Who waits for a child, and whose failure its failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChildKind {
    /// It does not hold the scope open.
    pub daemon: bool,
    /// Its failure is not the scope's; it belongs to whoever joins it.
    pub isolated: bool,
}

impl ChildKind {
    /// Holds the scope open, and its failure is the scope's.
    pub const LINKED: Self = Self { daemon: false, isolated: false };
}

/// How a child's or finalizer's code ended.
#[derive(Debug)]
pub enum End<E> {
    /// With a value.
    Value,
    /// With an error or a panic, or by a cancellation that is its failure.
    Failed(Failure<E>),
    /// Cut short by the scope's cancellation.
    Cut,
    /// Stopped from inside: its own handle, `cancel_children`, or as a daemon whose work is done.
    Stopped,
    /// Dropped because it awaited a child that could give no value.
    AwaitedDead,
    /// Its runtime ended under it.
    RuntimeEnded,
}

/// The exit of a child: how its code ended, and what its destructors did after that.
///
/// The two belong to one moment; if both failed, the panic is primary (P5).
#[derive(Debug)]
pub struct Exit<E> {
    /// How its code ended.
    pub end: End<E>,
    /// A panic of its destructors.
    pub destructor: Option<Panic>,
    /// Whether the child had been told to stop; a failure after that is secondary (P4).
    pub told: Told,
}

/// Who had told a child to stop before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// Nobody.
    Nobody,
    /// Its scope's cancellation.
    ByScope,
    /// Its own handle, `cancel_children`, or the end of the work it accompanied as a daemon.
    FromInside,
}

/// How the body ended.
#[derive(Debug)]
pub enum BodyEnd<E> {
    /// With a value.
    Value,
    /// With an error or a panic.
    Failed(Failure<E>),
    /// Dropped because of the scope's cancellation.
    Cut,
    /// Dropped because it awaited a child that could give no value.
    AwaitedDead,
}

/// A request to cancel.
#[derive(Debug)]
pub struct CancelRequest {
    /// Why.
    pub reason: Reason,
    /// What the canceller said.
    pub cause: Option<Cause>,
}

impl CancelRequest {
    /// A request without a cause.
    pub const fn because(reason: Reason) -> Self {
        Self { reason, cause: None }
    }

    /// A request with what the canceller said.
    pub const fn with_cause(reason: Reason, cause: Cause) -> Self {
        Self { reason, cause: Some(cause) }
    }
}

/// What a handle finds when it claims the failure of its child.
#[derive(Debug)]
pub enum Claim<E> {
    /// The failure is the handle's.
    Failure(Failure<E>),
    /// The scope has it.
    OwnedByScope,
    /// The policy has not decided yet: ask again after the next `settled` effect.
    Pending,
}

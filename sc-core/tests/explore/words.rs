//! The vocabulary of the search: what can happen in a world, how it is printed, and the tags by
//! which an injected failure is found again.
//!
//! It is apart from the model so that a trace can be read without knowing how the model works.

use std::fmt;

use sc_core::{Failure, Member, Panic, Reason};

/// How a piece of code ends: a child, a body or a finalizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Ok,
    Err,
    Panic,
    /// Ends with a value, and then a destructor panics.
    OkDtor,
    /// Returns an error, and then a destructor panics: two failures of one moment.
    ErrDtor,
    /// Dropped at its next await, or before its first poll.
    Dropped,
    DroppedDtor,
    /// Dropped since it awaited a child that can give no value.
    AwaitedDead,
    RuntimeEnded,
    /// Its own deadline expired, which is its failure.
    TimedOut,
}

impl How {
    pub(crate) const fn destructor(self) -> bool {
        matches!(self, Self::OkDtor | Self::ErrDtor | Self::DroppedDtor)
    }

    pub(crate) const fn code(self) -> Option<What> {
        match self {
            Self::Err | Self::ErrDtor => Some(What::Error),
            Self::Panic => Some(What::Panic),
            _ => None,
        }
    }

    /// Whether it is a failure even of a scope that is cancelled.
    pub(crate) fn fails(self) -> bool {
        self == Self::TimedOut || !self.failures().is_empty()
    }

    /// What the failures of this end are, the one that ranks first in front (P5).
    pub(crate) fn failures(self) -> Vec<What> {
        let destructor = self.destructor().then_some(What::Destructor);
        destructor.into_iter().chain(self.code()).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimHow {
    /// `join`: the handle's owner takes the failure and goes on.
    Join,
    /// `await`: the failure ends the awaiting body.
    Await,
    /// The handle cannot use it and gives it back.
    Return,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    Continue,
    Cancel,
    Panic,
}

/// One thing that happens, to a scope and, where there is a second number, a task of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Open(usize),
    Spawn(usize, usize),
    Start(usize, usize),
    Exit(usize, usize, How),
    StopFromInside(usize, usize),
    Body(usize, How),
    Drained(usize),
    Cancel(usize, Reason),
    SetDeadline(usize, Option<u32>),
    /// A child that was started signals that it is ready.
    Ready(usize, usize),
    ShutDown(usize, Option<u32>),
    CutGrace(usize),
    ShieldEnds(usize),
    DropFuture(usize, How),
    ForgetFuture(usize),
    OpenerEnded(usize),
    Defer(usize),
    Finalizer(usize, How),
    Judge(usize, Ruling),
    Claim(usize, usize, ClaimHow),
    Release(usize, usize),
    RuntimeEnded(usize),
    Tick(usize),
    Advance,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = |s: usize| ["outer", "nested", "innermost"].get(s).copied().unwrap_or("another");
        match *self {
            Self::Open(s) => write!(f, "{} opens", scope(s)),
            Self::Spawn(s, t) => write!(f, "{} task {t} is spawned late", scope(s)),
            Self::Start(s, t) => write!(f, "{} task {t} is polled first", scope(s)),
            Self::Exit(s, t, how) => write!(f, "{} task {t} ends: {how:?}", scope(s)),
            Self::StopFromInside(s, t) => write!(f, "{} task {t} is told to stop by its handle", scope(s)),
            Self::Body(s, how) => write!(f, "{} body ends: {how:?}", scope(s)),
            Self::Drained(s) => write!(f, "{} driver reports: drained", scope(s)),
            Self::Cancel(s, reason) => write!(f, "{} cancel: {reason:?}", scope(s)),
            Self::SetDeadline(s, at) => write!(f, "{} set_deadline: {at:?}", scope(s)),
            Self::Ready(s, t) => write!(f, "{} task {t} is ready", scope(s)),
            Self::ShutDown(s, grace) => write!(f, "{} is shut down within {grace:?}", scope(s)),
            Self::CutGrace(s) => write!(f, "{} has its graces cut", scope(s)),
            Self::ShieldEnds(s) => write!(f, "{} loses its shield", scope(s)),
            Self::DropFuture(s, how) => write!(f, "{} future is dropped: {how:?}", scope(s)),
            Self::ForgetFuture(s) => write!(f, "{} future is forgotten or carried away", scope(s)),
            Self::OpenerEnded(s) => write!(f, "{} opener ends", scope(s)),
            Self::Defer(s) => write!(f, "{} registers a finalizer late", scope(s)),
            Self::Finalizer(s, how) => write!(f, "{} finalizer ends: {how:?}", scope(s)),
            Self::Judge(s, ruling) => write!(f, "{} policy says: {ruling:?}", scope(s)),
            Self::Claim(s, t, how) => write!(f, "{} handle of task {t} claims: {how:?}", scope(s)),
            Self::Release(s, t) => write!(f, "{} handle of task {t} is dropped", scope(s)),
            Self::RuntimeEnded(s) => write!(f, "{} runtime ends", scope(s)),
            Self::Tick(s) => write!(f, "{} timer ticks", scope(s)),
            Self::Advance => f.write_str("time advances by one unit"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Error = 0,
    Panic = 1,
    Destructor = 2,
}

/// Whose failure it is, for the members of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Task(usize),
    Body,
    Finalizer(usize),
    /// The policy, panicking over the exit of this task.
    Policy(usize),
}

/// The unique mark of one injected error or panic; it is the error type of the explored scopes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tag {
    scope: usize,
    pub(crate) who: Who,
    what: What,
}

impl Tag {
    pub(crate) const fn new(scope: usize, who: Who, what: What) -> Self {
        Self { scope, who, what }
    }

    fn number(self) -> usize {
        let who = match self.who {
            Who::Task(n) => n,
            Who::Finalizer(n) => 100 + n,
            Who::Policy(n) => 200 + n,
            Who::Body => 300,
        };
        (self.scope * 1000 + who) * 10 + self.what as usize
    }

    fn of_number(n: usize) -> Option<Self> {
        let what = [What::Error, What::Panic, What::Destructor].into_iter().nth(n % 10)?;
        let who = match (n / 10) % 1000 {
            300 => Who::Body,
            n @ 200.. => Who::Policy(n - 200),
            n @ 100.. => Who::Finalizer(n - 100),
            n => Who::Task(n),
        };
        Some(Self { scope: n / 10_000, who, what })
    }

    pub(crate) fn failure(self) -> Failure<Self> {
        match self.what {
            What::Error => Failure::Error(self),
            What::Panic | What::Destructor => Failure::Panic(self.panic()),
        }
    }

    pub(crate) fn panic(self) -> Panic {
        Panic::new(Box::new(self.number().to_string()))
    }

    /// The tag in a failure. A failure made from a cancellation carries none.
    pub(crate) fn of(failure: &Failure<Self>) -> Option<Self> {
        match failure {
            Failure::Error(tag) => Some(*tag),
            Failure::Panic(panic) => panic.message()?.parse().ok().and_then(Self::of_number),
            _ => None,
        }
    }

    pub(crate) fn member(self) -> Member {
        match self.who {
            Who::Task(n) => Member::child(sc_core::ChildId::new(n as u64)),
            Who::Finalizer(_) => Member::finalizer(),
            Who::Policy(_) => Member::policy(),
            Who::Body => Member::body(),
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:?}.{:?}", self.scope, self.who, self.what)
    }
}

/// A promise that does not hold in some state.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) promise: &'static str,
    pub(crate) what: String,
}

/// Leaves the function with a [`Violation`] of the promise unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $promise:literal, $($text:tt)+) => {
        if !$condition {
            return Err($crate::explore::words::Violation { promise: $promise, what: format!($($text)+) });
        }
    };
}
pub(crate) use ensure;

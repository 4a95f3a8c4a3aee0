//! Why a scope was cancelled, and by whom: one reason, inherited unchanged (P6).

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::line::nonempty;
use crate::{Member, Name, OneLine};

/// The number of a scope, unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(u64);

impl ScopeId {
    /// Makes a scope id. The binding hands them out and never twice.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why a scope, or one of its children, was cancelled.
///
/// There is no "parent was cancelled": a scope inherits its ancestor's own reason, and
/// [`Cancelled::is_inherited`] tells that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Somebody asked for it: `cancel`, `cancel_children`, `Child::cancel`, a canceller.
    Requested,
    /// A deadline passed.
    Deadline,
    /// A child, the body or a finalizer failed, and the policy does not continue past that.
    ChildFailed,
    /// A custom policy said so.
    Policy,
    /// The work that a daemon accompanied is done.
    WorkDone,
    /// The scope's future was dropped before it resolved.
    ScopeDropped,
    /// The frame that opened the scope ended while the scope was still open.
    OpenerEnded,
    /// A frame awaited a child that could no longer give a value.
    AwaitedChild,
    /// The future given to `cancel_on` resolved.
    External,
    /// The program is shutting down.
    Shutdown,
    /// The program's main function returned.
    MainReturned,
    /// The runtime that ran the child ended.
    RuntimeEnded,
}

impl Reason {
    const fn text(self) -> &'static str {
        match self {
            Self::Requested => "cancellation requested",
            Self::Deadline => "deadline expired",
            Self::ChildFailed => "a failure ended the scope",
            Self::Policy => "the policy ended the scope",
            Self::WorkDone => "the work it accompanied is done",
            Self::ScopeDropped => "the scope's future was dropped",
            Self::OpenerEnded => "the frame that opened the scope ended",
            Self::AwaitedChild => "a child was awaited that could give no value",
            Self::External => "an external signal fired",
            Self::Shutdown => "the program is shutting down",
            Self::MainReturned => "the main function returned",
            Self::RuntimeEnded => "the runtime ended",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The scope in which a cancellation began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    id: ScopeId,
    name: Option<Name>,
    place: &'static Location<'static>,
}

impl Origin {
    /// Describes a scope.
    pub const fn new(id: ScopeId, name: Option<Name>, place: &'static Location<'static>) -> Self {
        Self { id, name, place }
    }

    /// The scope's number.
    pub const fn id(&self) -> ScopeId {
        self.id
    }

    /// The scope's name, if its author gave it one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The place in the source that opened the scope.
    pub const fn place(&self) -> &'static Location<'static> {
        self.place
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nonempty(self.name.as_ref()) {
            Some(name) => write!(f, "scope `{name}`")?,
            None => write!(f, "scope {}", self.id)?,
        }
        write!(f, " ({}:{})", self.place.file(), self.place.line())
    }
}

/// What a canceller said: text, or any error value.
pub type Cause = Box<dyn Error + Send + Sync>;

/// The notice that a scope or child was cancelled: reason, origin and, if one was given, the cause.
///
/// Only a scope makes one, so code that holds a `Cancelled` knows that a cancellation took place
/// (P6). It is small (two words) and cheap to clone.
///
/// The first reason wins and is inherited downwards unchanged; [`is_inherited`](Self::is_inherited)
/// tells whether the scope at hand began the cancellation or an ancestor did. Retry logic wants to
/// know: retrying is pointless when the cancellation came from above.
///
/// `tokio_util`'s `CancellationToken` carries no reason. Use that token where a library asks for
/// one (`Scope::token` in `sc-tokio` makes it).
#[derive(Clone)]
pub struct Cancelled {
    notice: Arc<Notice>,
    inherited: bool,
}

struct Notice {
    reason: Reason,
    origin: Origin,
    cause: Option<Cause>,
    culprit: Option<Member>,
    budget: Option<Duration>,
}

impl Cancelled {
    pub(crate) fn new(reason: Reason, origin: Origin, detail: Detail) -> Self {
        let Detail { cause, culprit, budget } = detail;
        Self { notice: Arc::new(Notice { reason, origin, cause, culprit, budget }), inherited: false }
    }

    /// The same notice as a scope further down sees it.
    pub(crate) fn inherited(&self) -> Self {
        Self { notice: Arc::clone(&self.notice), inherited: true }
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.notice.reason
    }

    /// The scope in which the cancellation began.
    pub fn origin(&self) -> &Origin {
        &self.notice.origin
    }

    /// Whether a deadline was the reason.
    pub fn is_deadline(&self) -> bool {
        self.notice.reason == Reason::Deadline
    }

    /// Whether an ancestor began it. Retry only if this is `false`.
    pub const fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// The error value that the canceller gave, if it was a `C`, or has one in its chain of sources.
    ///
    /// Text given to `cancel` is not an error value and is not found here; [`fmt::Display`] shows it.
    pub fn cause<C: Error + 'static>(&self) -> Option<&C> {
        let mut next: Option<&(dyn Error + 'static)> = self.notice.cause.as_ref().map(|c| &**c as _);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<C>() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// The member whose failure was the reason, for [`Reason::ChildFailed`] and [`Reason::Policy`]; for
    /// [`Reason::Deadline`], the child whose own deadline it was.
    pub fn culprit(&self) -> Option<&Member> {
        self.notice.culprit.as_ref()
    }

    pub(crate) fn budget(&self) -> Option<Duration> {
        self.notice.budget
    }
}

impl fmt::Display for Cancelled {
    /// Reads as ``deadline of 2s expired in scope `page` (src/page.rs:38), inherited``. One line, whatever
    /// the scope's name and the cause contain.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notice = &*self.notice;
        match (notice.reason, notice.budget, &notice.culprit) {
            (Reason::Deadline, Some(budget), Some(child)) => write!(f, "deadline of {budget:?} of {child} expired")?,
            (Reason::Deadline, Some(budget), None) => write!(f, "deadline of {budget:?} expired")?,
            (Reason::ChildFailed, _, Some(culprit)) => write!(f, "{culprit} failed")?,
            (reason, ..) => f.write_str(reason.text())?,
        }
        write!(f, " in {}", notice.origin)?;
        if let Some(cause) = &notice.cause {
            write!(f, ": {}", OneLine(cause))?;
        }
        if self.inherited {
            f.write_str(", inherited")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled")
            .field("reason", &self.notice.reason)
            .field("origin", &format_args!("{}", self.notice.origin))
            .field("cause", &self.notice.cause)
            .field("inherited", &self.inherited)
            .finish()
    }
}

impl Error for Cancelled {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.notice.cause.as_ref().map(|cause| &**cause as _)
    }
}

impl From<Cancelled> for std::io::Error {
    /// [`TimedOut`](std::io::ErrorKind::TimedOut) for a deadline, else
    /// [`Other`](std::io::ErrorKind::Other). Not `Interrupted`, which makes `std`'s own loops try
    /// again.
    fn from(cancelled: Cancelled) -> Self {
        if cancelled.is_deadline() {
            Self::new(std::io::ErrorKind::TimedOut, cancelled)
        } else {
            Self::other(cancelled)
        }
    }
}

/// The parts of a notice that only some reasons have.
#[derive(Default)]
pub(crate) struct Detail {
    pub(crate) cause: Option<Cause>,
    pub(crate) culprit: Option<Member>,
    pub(crate) budget: Option<Duration>,
}

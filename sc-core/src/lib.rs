//! What a scope decides, without saying how it runs.
//!
//! A scope of structured concurrency is a value here: [`Scope`] takes inputs (a child exited, a
//! cancellation was requested, a timer expired, the scope's future was dropped) and answers each
//! with [`Effects`], the list of things a runtime has to do now. There is no runtime, no clock and
//! no I/O in this crate, and it depends on nothing but `std`; time comes in as an argument. The
//! value that runs in production is the value that the exhaustive search in `tests/` explores.
//!
//! **Use it through `sc-tokio`.** That crate re-exports the types users meet ([`Cancelled`],
//! [`Failure`], [`Outcome`], [`Report`] and the policies) and pins this one to an exact version.
//! Depend on `sc-core` itself only to write another binding; the contract for that is written on
//! [`Scope`].
//!
//! The promises P1 to P12 that comments cite are listed in `docs/DESIGN.md`.

#![forbid(unsafe_code)]

mod cancelled;
mod deadline;
mod effects;
mod failure;
mod failure_log;
mod joiner;
mod line;
mod member;
mod outcome;
mod policy;
mod report;
mod scope;

pub use cancelled::{Cancelled, Cause, Origin, Reason, ScopeId};
pub use deadline::Deadline;
pub use effects::{Effects, Slow};
pub use failure::{DeadChild, Failure, Panic, ScopeError};
pub use failure_log::{FAILURES_KEPT, FailureRecord};
pub use joiner::{All, FirstOk, ForEach, Joiner, Quorum, RaceError, Settle};
pub use line::{OneLine, ShownName};
pub use member::{ChildId, Member, Name, Role};
pub use outcome::{Outcome, OutcomeKind, ScopeEnd};
pub use policy::{ChildExit, FailFast, Policy, PolicyFn, Supervise, Verdict, Watch, policy_fn};
pub use report::{Report, Straggler};
pub use scope::{BodyEnd, CancelRequest, ChildKind, Claim, Config, End, Exit, Phase, QueuedExit, Scope, Told};

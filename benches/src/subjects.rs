//! Spawn and join: `n` children that give a number each, and the sum of the numbers. Who does it, and how.
//!
//! All children get their number as an argument, so that captures are equal. Where a model has handles, all are made first
//! and then awaited in the order of their making; where it has a stream of results, that is drained. With "handles dropped"
//! the scope waits for children whose results nobody wants, as `TaskTracker` does.
//!
//! - `tokio::spawn`, `JoinSet`: no cancellation, no scope.
//! - `TaskTracker` with `CancellationToken`: what one writes by hand for the same guarantee on the way out; every child
//!   runs under `run_until_cancelled_owned`, the token is never cancelled here.
//! - `FuturesUnordered`: no tasks, hence no parallelism and no allocation of Tokio's.
//! - `futures-buffered`, `futures-concurrency`: no tasks, hence no parallelism; unboxed futures, whose number is known
//!   beforehand. Of futures-concurrency it is `Vec::join`.
//! - `moro`: no tasks; every child is boxed, has a channel for its result, and may borrow.
//! - `async_nursery`: tasks through `async_executors`, their handles through a channel into a `FuturesUnordered`.
//! - `async-scoped`: tasks that borrow, boxed. Its safe entry blocks the thread, so that it needs a multi-threaded runtime
//!   (on the other one it ends the process); the entry that does not block is an `unsafe fn`, which nothing here calls.
//! - `task-group`: tasks with a name each and without results, which go through one shared sum. Its manager polls every
//!   child each time it is polled.
//! - `tokio-graceful-shutdown`: two tasks per subsystem, no results, names; it is made for the parts of a program, not for
//!   many small children.

mod peers;
mod tokios;

pub use peers::nursery_of;

use crate::work::Work;

/// One of those who can spawn and join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are told by `name`")]
pub enum Subject {
    Awaited,
    Dropped,
    Ambient,
    Bare,
    JoinSet,
    Tracker,
    Unordered,
    Buffered,
    Concurrency,
    Moro,
    AsyncNursery,
    AsyncScoped,
    TaskGroup,
    Subsystems,
}

impl Subject {
    /// Ours, then the others; the first of them is the plain thing.
    pub const ALL: [Self; 14] = [
        Self::Awaited,
        Self::Dropped,
        Self::Ambient,
        Self::Bare,
        Self::JoinSet,
        Self::Tracker,
        Self::Unordered,
        Self::Buffered,
        Self::Concurrency,
        Self::Moro,
        Self::AsyncNursery,
        Self::AsyncScoped,
        Self::TaskGroup,
        Self::Subsystems,
    ];

    /// What it is called in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Awaited => "handles awaited",
            Self::Dropped => "handles dropped",
            Self::Ambient => "sc_tokio::spawn in a nursery",
            Self::Bare => "tokio::spawn, handles awaited",
            Self::JoinSet => "JoinSet, join_next",
            Self::Tracker => "TaskTracker, CancellationToken",
            Self::Unordered => "FuturesUnordered",
            Self::Buffered => "futures-buffered",
            Self::Concurrency => "futures-concurrency",
            Self::Moro => "moro",
            Self::AsyncNursery => "async_nursery",
            Self::AsyncScoped => "async-scoped",
            Self::TaskGroup => "task-group",
            Self::Subsystems => "tokio-graceful-shutdown",
        }
    }

    /// Who is called that.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.name() == name)
    }

    /// Whether it is of this workspace.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Awaited | Self::Dropped | Self::Ambient)
    }

    /// Why it cannot do it with so many children, or not in reasonable time.
    pub const fn unable(self, count: u32, threads: Threads) -> Option<&'static str> {
        match (self, threads) {
            (Self::AsyncScoped, Threads::One) => Some("its safe entry ends the process on a current-thread runtime"),
            (Self::AsyncScoped | Self::AsyncNursery, Threads::Several) if count > 10_000 => {
                Some("its cost per child grows with their number; a sample takes many seconds")
            }
            (Self::TaskGroup, _) if count > 10_000 => {
                Some("it polls all of its tasks each time; a sample takes seconds")
            }
            (Self::Subsystems, _) if count > 10_000 => Some("it is made for the parts of a program, not for so many"),
            _ => None,
        }
    }

    /// Spawns and joins.
    ///
    /// # Panics
    ///
    /// If a child fails, and where [`unable`](Self::unable) says so.
    pub async fn run<F: Work>(self, count: u32, child: fn(u64) -> F) {
        match self {
            Self::Awaited => tokios::awaited(count, child).await,
            Self::Dropped => tokios::dropped(count, child).await,
            Self::Ambient => tokios::ambient(count, child).await,
            Self::Bare => tokios::bare_tasks(count, child).await,
            Self::JoinSet => tokios::join_set(count, child).await,
            Self::Tracker => tokios::tracker(count, child).await,
            Self::Unordered => tokios::unordered(count, child).await,
            Self::Buffered => peers::buffered(count, child).await,
            Self::Concurrency => peers::concurrency(count, child).await,
            Self::Moro => peers::moro(count, child).await,
            Self::AsyncNursery => peers::nursery(count, child).await,
            Self::AsyncScoped => peers::scoped(count, child).await,
            Self::TaskGroup => peers::group(count, child).await,
            Self::Subsystems => peers::subsystems(count, child).await,
        }
    }
}

/// How many threads a runtime has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Threads {
    One,
    Several,
}

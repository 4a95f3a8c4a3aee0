//! Structured concurrency for Tokio: tasks end with their scope, failures reach it, deadlines flow
//! down.
//!
//! A task started with `tokio::spawn` floats free of the code that started it. Here a child cannot
//! outlive the scope that started it: where Rust can prove that at compile time it is proved there,
//! and where it cannot, the runtime guarantees it, also when the scope's own future is dropped
//! half-way.
//!
//! ```
//! use std::time::Duration;
//! use sc_tokio::{Cancelled, nursery};
//!
//! # async fn fetch_user(_: u32) -> Result<String, Cancelled> { Ok("Ada".into()) }
//! # async fn fetch_orders(_: u32) -> Result<Vec<u32>, Cancelled> { Ok(vec![7]) }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Cancelled> {
//! # let id = 1;
//! let page = nursery!(async |n| {
//!     let user = n.spawn(fetch_user(id)); // its own Tokio task
//!     let orders = n.spawn(fetch_orders(id)); // in parallel
//!     Ok((user.await, orders.await)) // if one fails, the other is cancelled and the block ends
//! })
//! .timeout(Duration::from_secs(2))
//! .await?;
//! # assert_eq!(page, ("Ada".to_owned(), vec![7]));
//! # Ok(())
//! # }
//! ```
//!
//! There are three ways in: [`nursery!`] (and [`scope`] without the macro), [`macro@scoped`] on an `async fn`, and
//! [`spawn`], which has the signature and the handle of `tokio::spawn` and is owned by the nearest enclosing scope.
//!
//! The words used here (scope, nursery, body, child, frame, daemon, straggler) and the promises P1
//! to P12 that the documentation cites are in `docs/DESIGN.md` of the repository.
//!
//! # Features
//!
//! `macros` (default): [`nursery!`], [`macro@scoped`], [`macro@main`], [`macro@test`]. `signal` (default): SIGTERM and ctrl-c begin the
//! shutdown of the program; see [`Root`]. `tracing` (default): events for what nobody is there to be told.
//! Without them neither syn nor `tracing` is built. A runtime without a timer works as long as no
//! deadline is asked for.
//!
//! With `panic = "abort"` a panic anywhere ends the process, as it does without this crate.

#![forbid(unsafe_code)]

mod ambient;
mod books;
mod builder;
mod cancellation;
mod carrier;
mod child;
mod drive;
mod events;
mod fault;
mod finalizer;
mod frame;
mod graces;
mod hold;
mod hook;
pub mod join;
mod join_set;
mod judge;
mod lazy;
mod limit;
mod node;
mod nursery;
mod open;
mod owned;
mod parked;
mod permit;
mod present;
mod program;
mod reaper;
mod resource;
mod root;
mod rt;
mod scope;
mod scoped;
mod shield;
mod shutdown;
mod stops;
mod teardown;
mod tree;
mod values;
mod waiting;
mod wake;
mod work;

#[cfg(not(sc_shuttle))]
pub use ambient::spawn_local;
pub use ambient::{
    Current, cancelled, checkpoint, current, deadline, is_cancelled, remaining, spawn, spawn_blocking, spawn_detached,
    spawn_shielded, timeout, timeout_at,
};
pub use builder::{Mapped, NurseryBuilder, NurseryFuture, OutcomeFuture, ViaFrom, scope};
pub use cancellation::{Cancellation, Canceller};
pub use child::{
    BlockingCx, Child, ChildOutput, FinalizerOutput, Join, Never, Ready, Start, StartError, StartFn, Stopping,
    TaskBuilder, Unsignalled,
};
pub use hook::{UnhandledFailure, reset_failure_hook, set_failure_hook};
pub use join_set::{ScopedAbortHandle, ScopedJoinSet};
pub use limit::{Limit, ZeroLimit};
pub use nursery::Nursery;
pub use owned::{Attached, OwnedScope, OwnedScopeBuilder, Shutdown};
pub use permit::{Permit, Reserve, TryReserveError};
#[cfg(not(sc_shuttle))]
pub use program::assert_no_leaks;
pub use program::{Root, RootEnd, Unfinished};
pub use resource::{Acquire, Leaked, Lease};
pub use root::{RootHandle, root};
#[cfg(sc_shuttle)]
#[doc(hidden)]
pub use rt::explored;
pub use scope::{DeadlineExpired, Scope, ScopeFn};
pub use shield::shield;
pub use shutdown::{drain_begins, is_shutting_down, shutting_down};
pub use tree::{Tree, TreeNode, tree};
pub use values::{NotBound, ScopeLocal, ScopeLocalFuture};

pub use sc_core::{
    Cancelled, Cause, ChildExit, ChildId, FAILURES_KEPT, FailFast, Failure, Joiner, Member, Name, Origin, Outcome,
    OutcomeKind, Panic, Phase, Policy, PolicyFn, RaceError, Reason, Report, Role, ScopeEnd, ScopeError, ScopeId,
    Straggler, Supervise, Verdict, Watch, policy_fn,
};

#[cfg(feature = "macros")]
mod macros;
#[cfg(feature = "macros")]
pub use macros::{main, nursery, scoped, test};

/// The programs of the guide, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/GUIDE.md")]
mod guide {}

/// Those of the migration.
#[cfg(doctest)]
#[doc = include_str!("../../docs/MIGRATING.md")]
mod migrating {}

/// What the macros expand to. Not part of the interface.
#[doc(hidden)]
pub mod __private {
    use std::fmt::Debug;

    use crate::builder::NurseryBuilder;
    pub use crate::drive::{Drive, Ended, drive};
    pub use crate::nursery::Nursery;
    #[cfg(all(feature = "macros", not(sc_shuttle)))]
    pub use crate::program::entry;
    pub use crate::scoped::{drive_scoped, nursery_named, open_scoped, scoped, settle};

    #[track_caller]
    pub fn nursery<F, T, E>(block: F) -> NurseryBuilder<F, T, E>
    where
        F: Future<Output = Ended<T, E>>,
    {
        NurseryBuilder::new(block)
    }

    /// What `scope_local!` expands to.
    pub const fn scope_local<T: Send + Sync + 'static>(name: &'static str) -> crate::ScopeLocal<T> {
        crate::ScopeLocal::declared(name)
    }

    pub fn open<'env, E: Debug + Send + 'static>() -> Nursery<'env, E> {
        Nursery::open()
    }

    /// Names a scope's error type, so that the body's type is known before the body is read.
    #[derive(Debug)]
    pub struct Witness<E>(std::marker::PhantomData<fn() -> E>);

    pub const fn witness<E>(_: &Nursery<'_, E>) -> Witness<E> {
        Witness(std::marker::PhantomData)
    }

    impl<E> Witness<E> {
        /// Stands in a branch that is never taken.
        pub fn result<T>(self) -> Result<T, E> {
            unreachable!("the macros put this call where it is never reached")
        }
    }
}

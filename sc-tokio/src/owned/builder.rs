//! What an owned scope is before it is opened.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use sc_core::{Name, Policy};

use super::OwnedScope;
use crate::limit::Limit;
use crate::node::Node;
use crate::open::{Options, Setup};
use crate::scope::Scope;

/// An [`OwnedScope`] that is not open yet; made by [`OwnedScope::builder`].
///
/// There is no time-out here, since an owned scope has no first poll to count from:
/// [`set_deadline`](Scope::set_deadline) gives an open one a deadline. For a stop signal, see
/// [`canceller`](Scope::canceller).
#[must_use = "a scope is not there before it is opened"]
pub struct OwnedScopeBuilder<E> {
    setup: Setup,
    parent: Option<Arc<Node>>,
    error: PhantomData<fn() -> E>,
}

impl<E> OwnedScopeBuilder<E> {
    pub(crate) fn new(place: &'static Location<'static>) -> Self {
        Self { setup: Setup::at(place), parent: None, error: PhantomData }
    }

    fn options(&mut self) -> &mut Options {
        self.setup.options.get_or_insert_default()
    }

    /// Opens it below `parent` instead of the runtime's root; see [`OwnedScope::under`].
    pub fn under<P>(mut self, parent: &Scope<P>) -> Self {
        self.parent = Some(Arc::clone(parent.node()));
        self
    }

    /// Names the scope, for messages, reports and [`Cancelled::origin`](crate::Cancelled::origin).
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.options().name = Some(name.into());
        self
    }

    /// Decides what a child's failure means: [`FailFast`](crate::FailFast) (the default),
    /// [`Supervise`](crate::Supervise), or a [`policy_fn`](crate::policy_fn).
    pub fn policy<P>(mut self, policy: P) -> Self
    where
        P: Policy<E>,
        E: Debug + Send + 'static,
    {
        self.options().set_policy(policy);
        self
    }

    /// How long children may go on after the scope was cancelled, to tidy up; then they are dropped at their
    /// next await. Default: as long as the parent's cancellation allows, else not at all.
    /// [`shutdown`](OwnedScope::shutdown) brings its own.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options().grace = Some(grace);
        self
    }

    /// How many children run at once; see [`Limit`].
    ///
    /// # Panics
    ///
    /// If it is zero; see [`Limit::new`].
    #[track_caller]
    pub fn limit(mut self, limit: impl Into<Limit>) -> Self {
        self.options().limit = Some(limit.into());
        self
    }

    /// How long each finalizer may take. Default: 5 s.
    pub fn finalizer_timeout(mut self, timeout: Duration) -> Self {
        self.options().finalizer_timeout = Some(timeout);
        self
    }

    /// After how long a drain is worth a warning that names whom it waits for. Default: 10 s, and
    /// again each 10 s.
    pub fn warn_after(mut self, patience: Duration) -> Self {
        self.options().warn_after = Some(patience);
        self
    }

    /// Opens the scope.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn open(self) -> OwnedScope<E> {
        OwnedScope::open(self.setup, self.parent)
    }
}

impl<E> Debug for OwnedScopeBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedScopeBuilder")
            .field("place", &format_args!("{}", self.setup.place))
            .finish_non_exhaustive()
    }
}

//! What a scope does when a child exits.

use std::marker::PhantomData;

use crate::{Failure, Member};

/// Whether a scope goes on after an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Go on; a failure belongs to whoever joins the child, else to the further failures.
    Continue,
    /// Cancel the scope; a failure becomes the scope's.
    Cancel,
}

/// The exit of a child, as a policy sees it.
#[derive(Debug)]
pub struct ChildExit<'a, E> {
    member: &'a Member,
    failure: Option<&'a Failure<E>>,
    failures_before: u64,
}

impl<'a, E> ChildExit<'a, E> {
    /// Describes an exit; `None` for a success.
    pub const fn new(member: &'a Member, failure: Option<&'a Failure<E>>, failures_before: u64) -> Self {
        Self { member, failure, failures_before }
    }

    /// Who exited.
    pub const fn member(&self) -> &'a Member {
        self.member
    }

    /// The failure; `None` if the child succeeded.
    pub const fn failure(&self) -> Option<&'a Failure<E>> {
        self.failure
    }

    /// The error, if the child returned one.
    pub fn error(&self) -> Option<&'a E> {
        self.failure.and_then(Failure::as_error)
    }

    /// Whether the child panicked.
    pub fn is_panic(&self) -> bool {
        self.failure.is_some_and(Failure::is_panic)
    }

    /// How many children of this scope had failed before, whoever took their errors.
    pub const fn failures_before(&self) -> u64 {
        self.failures_before
    }
}

/// Which exits a policy wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Watch {
    /// None: [`FailFast`], decided without asking.
    FailFast,
    /// None: [`Supervise`], decided without asking.
    Supervise,
    /// Failures.
    Failures,
    /// Every exit, successes too.
    All,
}

mod sealed {
    pub trait Sealed {}
}

/// Decides whether a scope continues past a child's exit: [`FailFast`], [`Supervise`], or one's
/// own by [`policy_fn`]. Sealed for now.
///
/// A policy judges children only. The body's own failure always ends the scope, and an isolated
/// child is not judged at all: its failure belongs to whoever joins it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy of a `Scope<{E}>`",
    note = "a policy is `FailFast`, `Supervise`, or one's own by `policy_fn(|exit| ..)`"
)]
pub trait Policy<E>: sealed::Sealed + Send + 'static {
    /// Which exits [`decide`](Self::decide) is asked about.
    fn watch(&self) -> Watch;

    /// Judges one exit. Called for one exit at a time, in the order they happened, and never with
    /// a lock held; a panic in here cancels the scope and is recorded as a failure.
    fn decide(&mut self, exit: &ChildExit<'_, E>) -> Verdict;
}

/// The default: the first failure cancels the scope and is its result.
///
/// Trio's nurseries, `asyncio.TaskGroup` and Kotlin's `coroutineScope` do the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FailFast;

impl sealed::Sealed for FailFast {}

impl<E> Policy<E> for FailFast {
    fn watch(&self) -> Watch {
        Watch::FailFast
    }

    fn decide(&mut self, exit: &ChildExit<'_, E>) -> Verdict {
        if exit.failure().is_some() { Verdict::Cancel } else { Verdict::Continue }
    }
}

/// A child's failure is its own affair: siblings and body go on. Kotlin's `supervisorScope`.
///
/// The failure goes to whoever joins the child, else to the outcome's further failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Supervise;

impl sealed::Sealed for Supervise {}

impl<E> Policy<E> for Supervise {
    fn watch(&self) -> Watch {
        Watch::Supervise
    }

    fn decide(&mut self, _exit: &ChildExit<'_, E>) -> Verdict {
        Verdict::Continue
    }
}

/// A policy made from a closure; see [`policy_fn`].
pub struct PolicyFn<E, F> {
    decide: F,
    watch: Watch,
    // Ties the closure's argument to one error type, so that `E` is inferred from the scope.
    error: PhantomData<fn(&E)>,
}

impl<E, F> std::fmt::Debug for PolicyFn<E, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyFn").field("watch", &self.watch).finish_non_exhaustive()
    }
}

impl<E, F> PolicyFn<E, F> {
    /// Asks the closure about successes too, not only about failures.
    ///
    /// Every exit then takes the scope's lock, which plain successes do not otherwise.
    #[must_use]
    pub fn all_exits(mut self) -> Self {
        self.watch = Watch::All;
        self
    }
}

/// Makes a policy from a closure that judges failures (with [`all_exits`](PolicyFn::all_exits), every
/// exit), one at a time and in the order they happened.
///
/// What it sees: the exits of linked children, daemons included, until the scope is cancelled. It does
/// not see the body, isolated children, tasks that somebody stopped, nor anything after the cancellation:
/// there is nothing left to decide. It may keep state (`FnMut`).
///
/// It runs in the thread in which the exit happened, in the scope's name and with no lock held: it may cancel
/// the scope through a canceller, spawn ambient tasks into it, or look at the tree. While it blocks, exits
/// queue up behind it and the scope does not end; nobody else waits. A handle whose child is under judgement
/// waits for the verdict.
///
/// If it panics the scope is cancelled, and the panic is a failure of the scope's, with the policy as its
/// [member](crate::Member); the failure it looked at is one of the further failures.
///
/// # Examples
///
/// An error budget: tolerate two failures, end the scope at the third.
///
/// ```
/// use sc_core::{ChildExit, Verdict, policy_fn};
///
/// let budget = policy_fn(|exit: &ChildExit<'_, std::io::Error>| {
///     if exit.failures_before() < 2 { Verdict::Continue } else { Verdict::Cancel }
/// });
/// # fn check<E>(_: impl sc_core::Policy<E>) {}
/// # check::<std::io::Error>(budget);
/// ```
///
/// Only what cannot be tried again ends the scope; a panic never can:
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use sc_core::{ChildExit, Verdict, policy_fn};
///
/// let transient = policy_fn(|exit: &ChildExit<'_, Error>| match exit.error().map(Error::kind) {
///     Some(ErrorKind::TimedOut | ErrorKind::ConnectionReset) => Verdict::Continue,
///     _ => Verdict::Cancel,
/// });
/// # fn check<E>(_: impl sc_core::Policy<E>) {}
/// # check::<Error>(transient);
/// ```
///
/// Enough successes: the scope ends with the third, and failures do not matter.
///
/// ```
/// use sc_core::{ChildExit, Verdict, policy_fn};
///
/// let mut wanted = 3;
/// let enough = policy_fn(move |exit: &ChildExit<'_, std::io::Error>| {
///     wanted -= u32::from(exit.failure().is_none());
///     if wanted == 0 { Verdict::Cancel } else { Verdict::Continue }
/// })
/// .all_exits();
/// # fn check<E>(_: impl sc_core::Policy<E>) {}
/// # check::<std::io::Error>(enough);
/// ```
pub fn policy_fn<E, F>(decide: F) -> PolicyFn<E, F>
where
    F: FnMut(&ChildExit<'_, E>) -> Verdict + Send + 'static,
{
    PolicyFn { decide, watch: Watch::Failures, error: PhantomData }
}

impl<E, F> sealed::Sealed for PolicyFn<E, F> {}

impl<E, F> Policy<E> for PolicyFn<E, F>
where
    E: 'static,
    F: FnMut(&ChildExit<'_, E>) -> Verdict + Send + 'static,
{
    fn watch(&self) -> Watch {
        self.watch
    }

    fn decide(&mut self, exit: &ChildExit<'_, E>) -> Verdict {
        (self.decide)(exit)
    }
}

//! A program as a scope: its root, the phases of its shutdown, and how it ended.

#[cfg(all(feature = "macros", not(sc_shuttle)))]
#[doc(hidden)]
pub mod entry;
#[cfg(not(sc_shuttle))]
mod leaks;
mod phases;
mod settle;
#[cfg(all(feature = "signal", not(sc_shuttle)))]
mod signals;
mod unfinished;

use std::convert::Infallible;
use std::panic::Location;
use std::process::{ExitCode, Termination};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sc_core::{CancelRequest, Cancelled, Failure, FailureRecord, Outcome, OutcomeKind, Reason, Supervise};

use crate::builder::NurseryBuilder;
use crate::drive::drive;
use crate::fault::BoxedError;
use crate::node::Node;
use crate::nursery::Nursery;
use crate::root::Registered;
use crate::rt::id_of;
#[cfg(not(sc_shuttle))]
pub use leaks::assert_no_leaks;
use phases::{Attended, Times, attend};
pub use unfinished::Unfinished;

/// A program's root scope, for those who own their runtime; `#[sc_tokio::main]` is the short form.
///
/// What is spawned outside any other scope belongs to it. Its policy is [`Supervise`]: one
/// panicking connection must not take the service down; the panic is reported to the failure hook.
/// When the main future is done the root is cancelled with [`Reason::MainReturned`], at once: a
/// background loop must not hold the program. Then everything is joined.
///
/// # Shutdown
///
/// A shutdown begins with a signal ([`signals`](Self::signals)) or with
/// [`RootHandle::begin_shutdown`](crate::RootHandle::begin_shutdown). It is not a cancellation yet, and has these phases:
///
/// 1. *Not ready.* [`is_shutting_down`](crate::is_shutting_down) is true and [`shutting_down`](crate::shutting_down) resolves. For
///    [`pre_drain`](Self::pre_drain) (default: none) nothing else happens: work is still taken on.
/// 2. *Drain.* [`drain_begins`](crate::drain_begins) resolves, and children started with
///    [`until_shutdown`](crate::TaskBuilder::until_shutdown) are stopped. Everything else may finish, for up to [`drain`](Self::drain)
///    (default: 20 s). The drain is over when the main future is done: what else has to be finished, it waits for.
/// 3. *End.* When that time is over, or at the second signal, who is left is named on standard error (and in a `tracing` event),
///    and the root is cancelled with [`Reason::Shutdown`]: what runs, the main future too, is dropped at its next await.
/// 4. What does not end [`abandon_after`](Self::abandon_after) (default: 5 s) after the root was cancelled, for whatever reason, is
///    named, too, and abandoned: blocking code, a task that never awaits, finalizers. A third signal ends this wait.
///
/// So a shutdown takes 25 s at most. Kubernetes kills a pod 30 s after it has begun to end it
/// (`terminationGracePeriodSeconds`), and a `preStop` hook and the pre-drain delay take from that time, too.
///
/// A thread that is blocked cannot be interrupted: code that blocks the thread which runs the main future (any code, on a
/// current-thread runtime) holds up the shutdown and the second signal.
///
/// # Examples
///
/// ```
/// use std::process::ExitCode;
/// use std::time::Duration;
/// use sc_tokio::Root;
///
/// fn main() -> ExitCode {
///     let runtime = tokio::runtime::Runtime::new().unwrap();
///     let ended = runtime.block_on(Root::new().drain(Duration::from_secs(10)).run(async {
///         sc_tokio::spawn(std::future::pending::<()>()); // ends with the program
///         sc_tokio::root().begin_shutdown();
///         sc_tokio::drain_begins().await;
///     }));
///     assert_eq!(ended.left_behind().len(), 1);
///     runtime.shutdown_timeout(ended.time_left());
///     ended.exit_code()
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a root does nothing unless run"]
pub struct Root {
    times: Times,
    signals: bool,
    /// Waits a moment for tasks that are about to end before it calls them left behind.
    patient: bool,
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}

impl Root {
    /// A root with default settings; it does not listen for signals.
    pub const fn new() -> Self {
        Self { times: Times::DEFAULT, signals: false, patient: false }
    }

    /// How long everything may take to finish once the drain has begun. Default: 20 s.
    ///
    /// Zero cancels what runs at once, without a drain; a time too long for the clock is no bound.
    ///
    /// # Panics
    ///
    /// [`run`](Self::run) does, on a runtime without a timer. (If no time is set there, a shutdown is unbounded.)
    pub const fn drain(mut self, time: Duration) -> Self {
        self.times.drain = time;
        self.times.requested = true;
        self
    }

    /// How long the program goes on as before when the shutdown begins, but for saying that it is not ready. Default: not at
    /// all.
    ///
    /// For load balancers that send requests until they have noticed: a server that stops at once turns those away.
    ///
    /// # Panics
    ///
    /// As [`drain`](Self::drain).
    pub const fn pre_drain(mut self, time: Duration) -> Self {
        self.times.pre_drain = time;
        self.times.requested = true;
        self
    }

    /// How long to wait for what was cancelled, before it is abandoned. Default: 5 s.
    ///
    /// Counts from the cancellation of the root, whatever its reason. A time too long for the clock is no bound: then
    /// nothing is ever abandoned.
    ///
    /// # Panics
    ///
    /// As [`drain`](Self::drain).
    pub const fn abandon_after(mut self, time: Duration) -> Self {
        self.times.abandon_after = time;
        self.times.requested = true;
        self
    }

    /// Listens for the signals that end a program: SIGTERM and SIGINT; on systems without them, ctrl-c. The first begins the shutdown,
    /// each further one ends the phase that it is in.
    ///
    /// From the first poll of the root on, for the rest of the process: Tokio does not give a signal back. A program that
    /// listens for other ones calls [`begin_shutdown`](crate::RootHandle::begin_shutdown) and
    /// [`hurry_shutdown`](crate::RootHandle::hurry_shutdown) itself.
    ///
    /// # Panics
    ///
    /// [`run`](Self::run) does, on a runtime without I/O, or if the system refuses.
    #[cfg(feature = "signal")]
    pub const fn signals(mut self) -> Self {
        self.signals = true;
        self
    }

    /// Runs `main` as the body of the root scope of the current runtime.
    ///
    /// # Panics
    ///
    /// Goes on with a panic of `main`, after everything is joined. Outside a Tokio runtime. If it
    /// was carried out of the frame that polled it first, so that it was cancelled without a value.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the root's scope; what is left of it is carried to its end by the runtime.
    #[track_caller]
    pub fn run<F: Future>(self, main: F) -> impl Future<Output = RootEnd<F::Output>> {
        let place = Location::caller();
        async move {
            let Self { times, signals, patient } = self;
            let kept = OnceLock::new();
            let mut returned = None;
            let scope = NurseryBuilder::new(async {
                let nursery = Nursery::<Infallible>::open();
                let node = Arc::clone(nursery.node());
                if !times.pre_drain.is_zero() {
                    node.books().latch.delay();
                }
                let _ = kept.set(Arc::clone(&node));
                let _registered = Registered::new(id_of(node.runtime()), &node);
                let body = async {
                    let value = main.await;
                    node.books().failed_late = Some(Vec::new());
                    let left = settle::left_behind(&node, patient).await;
                    // Outside the scope, whose future may be dropped with what is in it.
                    returned = Some((value, left));
                    node.cancel(CancelRequest::because(Reason::MainReturned));
                    Ok(())
                };
                drive(&nursery, body).await
            });
            let scope = scope.rooted().named("root").policy(Supervise).opened_at(place).outcome();
            let Attended { outcome, unfinished, abandoned, time_left } =
                attend(Box::pin(scope), &kept, &times, signals).await;
            let (value, left) = returned.map_or((None, Vec::new()), |(value, left)| (Some(value), left));
            let report = match outcome {
                Some(outcome) => match end(outcome, value.is_some()) {
                    Ok(report) => report,
                    // The scope around this root is cancelled, and about to drop the frame that awaits us.
                    Err(cancelled) if cancelled.is_inherited() => std::future::pending().await,
                    Err(cancelled) => {
                        panic!("a root was carried out of the frame that opened it, and awaited there: {cancelled}")
                    }
                },
                None => kept.get().map(|node: &Arc<Node>| node.books().scope.report().clone()).unwrap_or_default(),
            };
            let late = kept.get().and_then(|node| node.books().failed_late.take()).unwrap_or_default();
            RootEnd { value, left, late, report, unfinished, abandoned, time_left }
        }
    }
}

/// Takes a root's outcome apart: failures of its tasks go to the hook, its own panic goes on.
///
/// # Errors
///
/// If it was cancelled before its body gave a value, and not by its own shutdown.
fn end(outcome: Outcome<(), Infallible>, has_value: bool) -> Result<sc_core::Report, Cancelled> {
    let cancelled = outcome.cancelled().cloned();
    let origin = cancelled.as_ref().map(|cancelled| cancelled.origin().clone());
    let members = outcome.report().failed_members.clone();
    let report = outcome.report().clone();
    let failed = outcome.kind() == OutcomeKind::Failed;
    let mut failures = outcome.into_failures().into_iter();
    let primary = if failed { failures.next() } else { None };
    for (member, failure) in members.into_iter().skip(usize::from(failed)).zip(failures) {
        if let Some(origin) = &origin {
            let failure = failure.map(|never| -> BoxedError { match never {} });
            crate::hook::unhandled(origin, FailureRecord { member, failure });
        }
    }
    if let Some(Failure::Panic(panic)) = primary {
        panic.resume();
    }
    match cancelled {
        Some(cancelled) if !has_value && cancelled.reason() != Reason::Shutdown => Err(cancelled),
        Some(cancelled) if !has_value && cancelled.is_inherited() => Err(cancelled),
        _ => Ok(report),
    }
}

/// How a root ended.
#[derive(Debug)]
#[must_use = "it says whether the program ended cleanly"]
pub struct RootEnd<T> {
    value: Option<T>,
    left: Vec<&'static Location<'static>>,
    late: Vec<String>,
    report: sc_core::Report,
    unfinished: Vec<Unfinished>,
    abandoned: Vec<Unfinished>,
    time_left: Duration,
}

impl<T> RootEnd<T> {
    /// What the main future returned; `None` if it was dropped at the end of a drain, or abandoned.
    pub const fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// What the main future returned, owned; `None` if it was dropped at the end of a drain, or abandoned.
    pub fn into_value(self) -> Option<T> {
        self.value
    }

    /// Whether nothing was cut short by a shutdown, and nothing abandoned. (That a main future which returned has ended other tasks
    /// does not count: see [`left_behind`](Self::left_behind).)
    pub fn is_clean(&self) -> bool {
        self.value.is_some() && self.unfinished.is_empty() && self.abandoned.is_empty()
    }

    /// The program's exit status: that of the main future's value if the end [is clean](Self::is_clean), else
    /// [`ExitCode::FAILURE`]. An error that the main future returned is printed as from any `main`, in either case.
    pub fn exit_code(self) -> ExitCode
    where
        T: Termination,
    {
        Termination::report(self)
    }

    /// Who had not finished when a drain was over, and was cancelled: the first 64, the main future last.
    pub fn unfinished(&self) -> &[Unfinished] {
        &self.unfinished
    }

    /// Who had not ended when the wait for what was cancelled was over: the first 64. They end with the runtime; blocking code, with the
    /// process.
    pub fn abandoned(&self) -> &[Unfinished] {
        &self.abandoned
    }

    /// What is left of [`Root::abandon_after`]: for `Runtime::shutdown_timeout`, so that the wait for blocking code which nobody
    /// owns is bounded, too.
    pub const fn time_left(&self) -> Duration {
        self.time_left
    }

    /// Where the tasks were spawned, and the scopes opened on tasks of Tokio's own, that were still alive when the main future returned, and were
    /// then cancelled and joined.
    pub fn left_behind(&self) -> &[&'static Location<'static>] {
        &self.left
    }

    /// The panics of tasks after the main future had returned, when nobody was left to read their handles: who, and the message.
    /// At most [`FAILURES_KEPT`](crate::FAILURES_KEPT); the failure hook is told of them, too.
    pub fn failed_late(&self) -> &[String] {
        &self.late
    }

    /// Counts and durations.
    pub const fn report(&self) -> &sc_core::Report {
        &self.report
    }
}

impl<T: Termination> Termination for RootEnd<T> {
    /// See [`RootEnd::exit_code`].
    fn report(self) -> ExitCode {
        let is_clean = self.is_clean();
        match self.value.map(Termination::report) {
            Some(code) if is_clean => code,
            _ => ExitCode::FAILURE,
        }
    }
}

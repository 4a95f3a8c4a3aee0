//! Opening a scope: at its future's first poll, below the frame that polls it.

use std::fmt::Debug;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sc_core::{Cancelled, ChildId, Config, Deadline, Name, Origin, Policy, ScopeId, Watch};

use crate::books::{Below, Books, Owner, Parent};
use crate::frame::{self, Opener, Who};
use crate::hold::Hold;
use crate::judge::{Judge, Typed};
use crate::limit::Limit;
use crate::node::{Fixed, Node, Status};
use crate::rt::{Handle, Instant};
use crate::shield::Shield;
use crate::work::Work;

/// How long a drain may take before it is worth a warning.
const WARN_AFTER: Duration = Duration::from_secs(10);
/// How long a finalizer may take.
const FINALIZER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a builder was told.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Name>,
    pub(crate) policy: Option<(Watch, Option<Box<dyn Judge>>)>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) grace: Option<Duration>,
    pub(crate) limit: Option<Limit>,
    pub(crate) finalizer_timeout: Option<Duration>,
    pub(crate) warn_after: Option<Duration>,
    pub(crate) cancel_on: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Inherits nothing: a finalizer's scope. Its time-out is left out on a runtime without a timer,
    /// since nobody asked for it.
    pub(crate) shielded: bool,
    /// A shield for this long after the cancellation of its surroundings.
    pub(crate) shield: Option<Duration>,
    /// The program's root.
    pub(crate) root: bool,
}

impl Options {
    pub(crate) fn set_policy<P, E>(&mut self, policy: P)
    where
        P: Policy<E>,
        E: Debug + Send + 'static,
    {
        let watch = policy.watch();
        let judge = matches!(watch, Watch::Failures | Watch::All).then(|| Typed::<P, E>::boxed(policy));
        self.policy = Some((watch, judge));
    }
}

/// From the builder to the block.
pub(crate) struct Setup {
    pub(crate) place: &'static Location<'static>,
    /// What the scope is called if the options do not say.
    pub(crate) name: Option<&'static &'static str>,
    pub(crate) options: Option<Box<Options>>,
    /// Somebody will read the report.
    pub(crate) reports: bool,
}

impl Setup {
    pub(crate) const fn at(place: &'static Location<'static>) -> Self {
        Self { place, name: None, options: None, reports: false }
    }
}

/// Opens the implicit root of a runtime: supervised, never cancelled, open as long as somebody holds
/// it.
pub(crate) fn implicit_root() -> (Arc<Node>, Hold) {
    let origin = Origin::new(next_id(), Some(Name::Borrowed("root")), Location::caller());
    let scope = sc_core::Scope::new(Config {
        origin: origin.clone(),
        watch: Watch::Supervise,
        grace: None,
        warn_after: WARN_AFTER,
        deadline: None,
        opened_at: None,
    });
    let node = Node::implicit_root(origin, Books::new(scope, None));
    let first = node.books().driver_hold.take();
    let hold = first.expect("a new node has its driver's hold");
    (node, hold)
}

fn next_id() -> ScopeId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    ScopeId::new(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Opens a scope.
///
/// # Panics
///
/// Outside a Tokio runtime.
pub(crate) fn open(setup: Setup) -> Arc<Node> {
    let Ok(runtime) = Handle::try_current() else {
        panic!(
            "a scope opened at {} was polled outside a Tokio runtime; run it with `#[tokio::main]` or `Runtime::block_on`",
            setup.place
        )
    };
    let mut setup = setup;
    let (node, has_deadline) = make(&mut setup, runtime);
    let (shielded, is_shield) =
        setup.options.as_ref().map_or((false, false), |options| (options.shielded, options.shield.is_some()));
    if !shielded {
        let top = || crate::root::explicit(node.runtime()).map(Opener::at_the_top_of);
        if let Some(opener) = frame::current().or_else(top) {
            link(&node, &opener, is_shield);
        }
        frame::opened(&node);
    }
    if has_deadline {
        // One that has passed already: the scope is born cancelled (P8).
        node.tick_if_due(Instant::now());
    }
    node
}

/// Opens a scope that belongs to a value and not to a frame: below `parent`, else below the runtime's root.
///
/// # Panics
///
/// Outside a Tokio runtime.
pub(crate) fn open_owned(mut setup: Setup, parent: Option<Arc<Node>>) -> Arc<Node> {
    let Ok(runtime) = Handle::try_current() else {
        panic!(
            "an `OwnedScope` was opened at {} outside a Tokio runtime; open it in code that a runtime runs, or enter one with `Handle::enter`",
            setup.place
        )
    };
    setup.reports = true;
    let (node, _) = make(&mut setup, runtime);
    node.books().owner = Owner::Value;
    let parent = parent.unwrap_or_else(root_of_here);
    link_owned(&node, &parent);
    crate::reaper::carry(&node);
    node
}

fn root_of_here() -> Arc<Node> {
    crate::root::current().expect("a runtime was found above, and has a root")
}

/// A scope that is on nobody's books yet, and whether it has a deadline of its own.
fn make(setup: &mut Setup, runtime: Handle) -> (Arc<Node>, bool) {
    // Most scopes have none, and an empty set of them is not made to be looked through.
    let mut options = setup.options.as_deref_mut();
    let name = options.as_mut().and_then(|options| options.name.take());
    let origin = Origin::new(next_id(), name.or(setup.name.map(|name| Name::Borrowed(name))), setup.place);
    // The clock is not free, and most scopes need it for nothing.
    let has_deadline = options.as_ref().is_some_and(|options| options.timeout.is_some() || options.deadline.is_some());
    let now = (setup.reports || has_deadline).then(Instant::now);
    let deadline = options.as_ref().zip(now).and_then(|(options, now)| own_deadline(options, &origin, now));
    let policy = options.as_mut().and_then(|options| options.policy.take());
    let (watch, judge) = policy.unwrap_or((Watch::FailFast, None));
    let scope = sc_core::Scope::new(Config {
        origin: origin.clone(),
        watch,
        grace: options.as_ref().and_then(|options| options.grace),
        warn_after: options.as_ref().and_then(|options| options.warn_after).unwrap_or(WARN_AFTER),
        deadline,
        opened_at: now.filter(|_| setup.reports).map(Instant::into_std),
    });
    let has_deadline = scope.deadline().is_some();
    let mut books = Books::new(scope, judge);
    books.finalizer_timeout = FINALIZER_TIMEOUT;
    let is_root = options.as_ref().is_some_and(|options| options.root);
    if is_root || crate::root::is_any_explicit() {
        books.present.keep_ages();
    }
    let mut fixed = Fixed::default();
    if let Some(options) = options {
        books.finalizer_timeout = options.finalizer_timeout.unwrap_or(FINALIZER_TIMEOUT);
        books.external = options.cancel_on.take();
        books.shield = options.shield.map(|limit| Box::new(Shield::new(limit)));
        // Nobody who finishes something asked for an error.
        books.timer_is_optional = options.shielded || options.shield.is_some();
        books.wakes_at_once = options.limit.is_some();
        fixed = Fixed { tells_at_once: options.root, limit: options.limit.take() };
    }
    (Node::new(origin, runtime, books, fixed), has_deadline)
}

/// The scope's own deadline: the earlier of the two that can be given. Too far to be an instant is
/// as good as none.
fn own_deadline(options: &Options, origin: &Origin, now: Instant) -> Option<Deadline> {
    let by_timeout = options.timeout.and_then(|timeout| Some((now.checked_add(timeout)?, Some(timeout))));
    let by_deadline = options.deadline.map(|at| (at, at.checked_duration_since(now)));
    let (at, budget) = match (by_timeout, by_deadline) {
        (Some(a), Some(b)) => {
            if b.0 < a.0 {
                b
            } else {
                a
            }
        }
        (one, other) => one.or(other)?,
    };
    Some(Deadline::new(at.into_std(), origin.clone(), budget))
}

/// Puts a scope below the nearest live one: takes a hold of it (P3), and what it has to inherit.
fn link(node: &Arc<Node>, opener: &Opener, is_shield: bool) {
    let Opener { node: frame_scope, who, in_future } = opener;
    let (who, in_future) = (*who, *in_future);
    let daemon = who.as_child().filter(|(_, daemon)| *daemon && !frame_scope.is_closed()).map(|(id, _)| id);
    let by_daemon = daemon.is_some();
    let at_top = who == Who::BODY && !in_future;
    if is_shield && !at_top {
        node.shields(opener);
    }
    // What a daemon opens does not keep the scope from draining, or the daemon would never be stopped.
    let (parent, hold) = if by_daemon { (Arc::clone(frame_scope), None) } else { nearest_live(frame_scope) };
    let opener = who.as_child().filter(|_| Arc::ptr_eq(&parent, frame_scope)).map(|(id, _)| id);
    let (slot, has_deadline, in_turn, cancelled) = {
        let mut books = parent.books();
        let below = Below {
            by_daemon,
            opener,
            in_future,
            shielded: is_shield,
            at_top,
            holds: hold.is_some(),
            ..Below::of(node)
        };
        let slot = books.nested.enter(below);
        if let Some(id) = daemon {
            books.scope.daemon_scope_opened(ChildId::new(id));
        }
        let cancelled = books.scope.cancelled().filter(|_| !by_daemon).cloned();
        let since = books.cancelled_since();
        let cancelled = cancelled.map(|cancelled| (cancelled, books.scope.stop_at(), since));
        let in_turn = by_daemon || books.scope.is_told_in_turn();
        (slot, !is_shield && books.scope.deadline().is_some(), in_turn, cancelled)
    };
    let told = told_alone(frame_scope, who);
    let mut work = Work::default();
    {
        let mut books = node.books();
        let opener = (!at_top && Arc::ptr_eq(&parent, frame_scope)).then_some((who, in_future));
        books.parent = Some(Parent { node: Arc::clone(&parent), hold, daemon, opener, slot });
        if in_turn {
            books.scope.told_in_turn();
        }
    }
    if has_deadline {
        node.inherit_deadline(&parent, &mut work);
    }
    if let Some((cancelled, stop_at, since)) = told.or(cancelled) {
        node.inherit_since(since.unwrap_or_else(Instant::now), &cancelled, stop_at, &mut work);
    }
    work.run();
}

/// What a member was told, until when it may go on, and since when it is cancelled: a child that was stopped alone hands that
/// down, too.
fn told_alone(scope: &Arc<Node>, who: Who) -> Option<(Cancelled, Option<std::time::Instant>, Option<Instant>)> {
    let (id, daemon) = who.as_child()?;
    if !scope.has_stops() {
        return None;
    }
    match scope.status(id, daemon) {
        Status::Run => None,
        Status::Told(cancelled, _) | Status::Stop(cancelled, _) => {
            Some((cancelled, scope.told_until(id, daemon), scope.told_since(id, daemon)))
        }
    }
}

/// Puts an owned scope below its parent: it inherits cancellation, and no deadline.
fn link_owned(node: &Arc<Node>, given: &Arc<Node>) {
    let (mut parent, mut hold) = nearest_live(given);
    if hold.is_none() && given.is_closed() {
        // Cancelled at birth by a parent that waits for nobody any more; its finalizers need somebody who does.
        (parent, hold) = nearest_live(&root_of_here());
    }
    let of = |node: &Node| {
        let books = node.books();
        books.scope.cancelled().map(|cancelled| (cancelled.clone(), books.scope.stop_at()))
    };
    let told = of(given);
    let slot = parent.books().nested.enter(Below { owned: true, holds: hold.is_some(), ..Below::of(node) });
    // After it is entered: a cancellation before that is seen here, a later one is handed down.
    let told = told.or_else(|| of(&parent));
    node.books().parent = Some(Parent { node: parent, hold, daemon: None, opener: None, slot });
    if let Some((cancelled, stop_at)) = told {
        let mut work = Work::default();
        node.inherit(&cancelled, stop_at, &mut work);
        work.run();
    }
}

/// The scope that keeps a new one on its books. One whose future is gone may be drained already;
/// then it is an ancestor (P3).
fn nearest_live(scope: &Arc<Node>) -> (Arc<Node>, Option<Hold>) {
    let mut candidate = Arc::clone(scope);
    loop {
        if let Some(hold) = candidate.hold() {
            return (candidate, Some(hold));
        }
        let Some(up) = candidate.books().inherits_from() else { return (Arc::clone(scope), None) };
        candidate = up;
    }
}

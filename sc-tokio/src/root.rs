//! The scope at the top: opened by [`Root`], else implicit, one per runtime.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::ops::DerefMut;
use std::panic::Location;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use sc_core::{CancelRequest, Cancelled, Failure, FailureRecord, Outcome, OutcomeKind, Reason, Supervise};

use crate::ambient;
use crate::builder::NurseryBuilder;
use crate::drive::drive;
use crate::fault::BoxedError;
use crate::frame;
use crate::hold::Hold;
use crate::node::Node;
use crate::nursery::Nursery;
use crate::open;
use crate::rt::{self, AtomicU64, Handle, JoinHandle, Mutex, Ordering, RuntimeId, global, id_of, lock, thread_local};

global! {
    /// The roots of the runtimes that have one.
    static ROOTS: Mutex<Vec<(RuntimeId, Weak<Node>)>> = Mutex::new(Vec::new());
}

thread_local! {
    /// The implicit root of the runtime that this thread last worked for. Holding it here keeps it
    /// open between tasks and lets it go with the runtime's threads.
    static CACHE: Cell<Option<(RuntimeId, Keeper)>> = const { Cell::new(None) };
}

/// A thread's hold of an implicit root, which is none of the root's children.
struct Keeper(Hold);

impl Keeper {
    fn new(hold: Hold) -> Self {
        hold.node().books().keepers += 1;
        Self(hold)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.node().books().keepers -= 1;
    }
}

fn roots() -> impl DerefMut<Target = Vec<(RuntimeId, Weak<Node>)>> {
    lock(&ROOTS)
}

/// The root of the current runtime; `None` outside a runtime.
pub(crate) fn current() -> Option<Arc<Node>> {
    let runtime = id_of(&Handle::try_current().ok()?);
    if let Some(node) = explicit_of(runtime) {
        return Some(node);
    }
    let cached = CACHE.try_with(|cache| {
        let cached = cache.take();
        let node = cached.as_ref().filter(|(id, _)| *id == runtime).map(|(_, keeper)| Arc::clone(keeper.0.node()));
        cache.set(cached);
        node
    });
    if let Ok(Some(node)) = cached {
        return Some(node);
    }
    let (node, hold) = find_or_open(runtime);
    if let Some(hold) = hold {
        let old = CACHE.try_with(|cache| cache.replace(Some((runtime, Keeper::new(hold)))));
        drop(old);
    }
    Some(node)
}

fn find_or_open(runtime: RuntimeId) -> (Arc<Node>, Option<Hold>) {
    let mut roots = roots();
    let found = roots.iter().filter(|(id, _)| *id == runtime).find_map(|(_, node)| node.upgrade());
    if let Some(node) = found {
        // An explicit root is not cached: it ends before its runtime does.
        if !node.is_root() {
            return (node, None);
        }
        if let Some(hold) = node.hold() {
            return (node, Some(hold));
        }
    }
    let (node, hold) = open::implicit_root();
    roots.retain(|(id, node)| *id != runtime && node.strong_count() > 0);
    roots.push((runtime, Arc::downgrade(&node)));
    (node, Some(hold))
}

global! {
    /// How many roots were opened with [`Root`] and live. Programs without one do not look for it.
    static EXPLICIT: AtomicU64 = AtomicU64::new(0);
}

/// The root that the program opened on the current runtime, if it did: what is opened outside any
/// frame is below it.
pub(crate) fn explicit(runtime: &Handle) -> Option<Arc<Node>> {
    explicit_of(id_of(runtime))
}

fn explicit_of(runtime: RuntimeId) -> Option<Arc<Node>> {
    if EXPLICIT.load(Ordering::Acquire) == 0 {
        return None;
    }
    // Upgraded under the lock, looked at (and perhaps dropped) without it.
    let found: Vec<_> =
        roots().iter().filter(|(id, _)| *id == runtime).filter_map(|(_, node)| node.upgrade()).collect();
    found.into_iter().find(|node| !node.is_root() && !node.is_closed())
}

/// Takes the place of the runtime's root while it lives.
struct Registered(RuntimeId, Weak<Node>);

impl Registered {
    fn new(runtime: RuntimeId, node: &Arc<Node>) -> Self {
        let node = Arc::downgrade(node);
        roots().insert(0, (runtime, Weak::clone(&node)));
        EXPLICIT.fetch_add(1, Ordering::Release);
        let old = CACHE.try_with(Cell::take);
        drop(old);
        Self(runtime, node)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        EXPLICIT.fetch_sub(1, Ordering::Release);
        roots().retain(|(id, node)| *id != self.0 || !Weak::ptr_eq(node, &self.1));
    }
}

/// A program's root scope, for those who own their runtime; `#[sc_tokio::main]` is the short form.
///
/// What is spawned outside any other scope belongs to it. Its policy is [`Supervise`]: one
/// panicking connection must not take the service down; the panic is reported to the failure hook.
/// When the main future is done the root is cancelled with [`Reason::MainReturned`], at once: a
/// background loop must not hold the program. Then everything is joined.
///
/// # Examples
///
/// ```
/// use sc_tokio::Root;
///
/// let runtime = tokio::runtime::Runtime::new().unwrap();
/// let ended = runtime.block_on(Root::new().run(async {
///     sc_tokio::spawn(std::future::pending::<()>()); // ends with the program
///     7
/// }));
/// assert_eq!(ended.left_behind().len(), 1);
/// assert_eq!(ended.into_value(), 7);
/// ```
#[derive(Debug, Default)]
#[must_use = "a root does nothing unless run"]
pub struct Root {
    /// Waits a moment for tasks that are about to end before it calls them left behind.
    patient: bool,
}

impl Root {
    /// A root with default settings.
    pub const fn new() -> Self {
        Self { patient: false }
    }

    /// Runs `main` as the body of the root scope of the current runtime.
    ///
    /// # Panics
    ///
    /// Goes on with a panic of `main`, after everything is joined. Outside a Tokio runtime. If it
    /// was carried out of the frame that polled it first, so that it was cancelled without a value.
    #[track_caller]
    pub fn run<F: Future>(self, main: F) -> impl Future<Output = RootEnd<F::Output>> {
        let patient = self.patient;
        let kept = Arc::new(OnceLock::new());
        let keep = Arc::clone(&kept);
        let scope = NurseryBuilder::new(async move {
            let nursery = Nursery::<Infallible>::open();
            let node = Arc::clone(nursery.node());
            let _ = keep.set(Arc::clone(&node));
            let _registered = Registered::new(id_of(node.runtime()), &node);
            let body = async {
                let value = main.await;
                node.books().failed_late = Some(Vec::new());
                let left = left_behind(&node, patient).await;
                node.cancel(CancelRequest::because(Reason::MainReturned));
                Ok((value, left))
            };
            drive(&nursery, body).await
        });
        let scope = scope.rooted().named("root").policy(Supervise).outcome();
        async move {
            match end(scope.await) {
                Ok(ended) => {
                    let late = kept.get().and_then(|node: &Arc<Node>| node.books().failed_late.take());
                    RootEnd { late: late.unwrap_or_default(), ..ended }
                }
                // The scope around this root is cancelled, and about to drop the frame that awaits us.
                Err(cancelled) if cancelled.is_inherited() => std::future::pending().await,
                Err(cancelled) => {
                    panic!("a root was carried out of the frame that opened it, and awaited there: {cancelled}")
                }
            }
        }
    }
}

/// Takes a root's outcome apart: failures of its tasks go to the hook, its own panic goes on.
///
/// # Errors
///
/// If it was cancelled before its body gave a value.
fn end<T>(outcome: Outcome<(T, Vec<&'static Location<'static>>), Infallible>) -> Result<RootEnd<T>, Cancelled> {
    let cancelled = outcome.cancelled().cloned();
    let origin = cancelled.as_ref().map(|cancelled| cancelled.origin().clone());
    let members = outcome.report().failed_members.clone();
    let report = outcome.report().clone();
    let failed = outcome.kind() == OutcomeKind::Failed;
    let (value, failures) = outcome.into_parts();
    let mut failures = failures.into_iter();
    let primary = if failed { failures.next() } else { None };
    for (member, failure) in members.into_iter().skip(usize::from(failed)).zip(failures) {
        if let Some(origin) = &origin {
            let failure = failure.map(|never| -> BoxedError { match never {} });
            crate::hook::unhandled(origin, FailureRecord { member, failure });
        }
    }
    match (primary, value, cancelled) {
        (Some(Failure::Panic(panic)), ..) => panic.resume(),
        (_, Some((value, left)), _) => Ok(RootEnd { value, left, late: Vec::new(), report }),
        (_, None, Some(cancelled)) => Err(cancelled),
        (_, None, None) => unreachable!("a scope without a value has failed or was cancelled"),
    }
}

/// Where the tasks that outlive the main function were spawned. Those that are about to end, since
/// whatever they waited for has happened, are given a chance to.
async fn left_behind(node: &Arc<Node>, patient: bool) -> Vec<&'static Location<'static>> {
    let nothing_lives = || node.living_children() == 0 && node.places().is_empty();
    for _ in 0..32 {
        if nothing_lives() {
            break;
        }
        ambient::yield_now().await;
    }
    // On another thread such a task may need a moment of real time, which a thread can wait for
    // without the runtime's timer.
    for _ in 0..if patient { 20 } else { 0 } {
        if nothing_lives() {
            break;
        }
        let _ = rt::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1))).await;
    }
    node.places()
}

/// How a root ended.
#[derive(Debug)]
pub struct RootEnd<T> {
    value: T,
    left: Vec<&'static Location<'static>>,
    late: Vec<String>,
    report: sc_core::Report,
}

impl<T> RootEnd<T> {
    /// What the main future returned.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// What the main future returned, owned.
    pub fn into_value(self) -> T {
        self.value
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

/// What `#[sc_tokio::main]` expands to.
#[doc(hidden)]
pub async fn run_main<R, F: Future<Output = R>>(main: F) -> R {
    Root::new().run(main).await.into_value()
}

/// What `#[sc_tokio::test]` expands to.
///
/// # Panics
///
/// If the test left tasks behind, or one of them panicked when its body was done.
#[doc(hidden)]
pub async fn run_test<R, F: Future<Output = R>>(test: F) -> R {
    let ended = Root { patient: true }.run(test).await;
    let left = ended.left_behind();
    let places: Vec<_> = left.iter().map(ToString::to_string).collect();
    assert!(left.is_empty(), "the test left {} tasks behind, spawned at:\n  {}", left.len(), places.join("\n  "));
    let late = ended.failed_late();
    assert!(
        late.is_empty(),
        "{} tasks failed when the body of the test was done:\n  {}",
        late.len(),
        late.join("\n  ")
    );
    ended.into_value()
}

/// The root of the current runtime, to spawn work that outlives the scope it is started in; see
/// [`RootHandle::spawn`].
///
/// # Panics
///
/// Outside a Tokio runtime.
#[track_caller]
pub fn root() -> RootHandle {
    match current() {
        Some(node) => RootHandle { node },
        None => panic!("`sc_tokio::root()` was called outside a Tokio runtime; call it from code that a runtime runs"),
    }
}

/// The root of a runtime; made by [`root`].
#[derive(Clone)]
pub struct RootHandle {
    node: Arc<Node>,
}

impl RootHandle {
    /// Spawns a task that the program owns: work that outlives the request that starts it.
    ///
    /// It inherits neither cancellation nor deadline of the scope around the call. It ends with
    /// the program's root.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let place = Location::caller();
        // An implicit root is open while a thread of its runtime remembers it; if none does, there
        // is another.
        let kept = self.node.hold();
        let drained = kept.is_none() && self.node.is_root();
        let node = drained.then(current).flatten().unwrap_or_else(|| Arc::clone(&self.node));
        ambient::spawn_into(&node, future, place)
    }

    /// Begins the shutdown of the program: [`shutting_down`](crate::shutting_down) resolves, and children that were started
    /// [`until_shutdown`](crate::TaskBuilder::until_shutdown) are stopped. Not a cancellation: everything else goes on, and the
    /// program ends when its main function returns. Calling it again changes nothing.
    ///
    /// Nobody calls it but the program: listening for signals, and a bound on how long the rest may take, are not part of
    /// this crate yet.
    ///
    /// # Panics
    ///
    /// If the root is not one that the program opened with [`Root`] or `#[sc_tokio::main]`: without one there is no
    /// program that could shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// #[sc_tokio::main(flavor = "current_thread")]
    /// async fn main() {
    ///     let root = sc_tokio::root();
    ///     sc_tokio::spawn(async move { root.begin_shutdown() }); // as a signal's handler would
    ///     sc_tokio::shutting_down().await;
    ///     assert!(sc_tokio::is_shutting_down());
    /// }
    /// ```
    #[track_caller]
    pub fn begin_shutdown(&self) {
        assert!(
            !self.node.is_root(),
            "this runtime has no root that could shut down; run the program with `#[sc_tokio::main]` or `Root::run`"
        );
        self.node.begin_shutdown();
    }

    /// Whether the shutdown has begun.
    pub fn is_shutting_down(&self) -> bool {
        self.node.is_shutting_down()
    }

    /// How many tasks and scopes' children the root has.
    pub fn len(&self) -> usize {
        self.node.living_children()
    }

    /// Whether nothing belongs to the root.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for RootHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootHandle").field("id", &self.node.id()).field("len", &self.len()).finish()
    }
}

global! {
    static DETACHED: Mutex<Vec<(&'static str, &'static Location<'static>)>> = Mutex::new(Vec::new());
}

/// A task that belongs to nobody, on the list of such tasks.
pub(crate) struct Detached(&'static str, &'static Location<'static>);

impl Detached {
    pub(crate) fn list(why: &'static str, place: &'static Location<'static>) -> Self {
        lock(&DETACHED).push((why, place));
        Self(why, place)
    }

    /// Those that live: why, and where they were spawned.
    pub(crate) fn all() -> Vec<(&'static str, &'static Location<'static>)> {
        lock(&DETACHED).clone()
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        let mut listed = lock(&DETACHED);
        if let Some(index) = listed.iter().position(|entry| *entry == (self.0, self.1)) {
            listed.swap_remove(index);
        }
    }
}

/// The scope around the call, or the runtime's root.
pub(crate) fn top() -> Option<Arc<Node>> {
    let mut node = match frame::current() {
        Some(opener) => opener.node,
        None => return current(),
    };
    loop {
        let up = node.books().inherits_from();
        match up {
            Some(up) => node = up,
            None => return Some(node),
        }
    }
}

//! The scope at the top: opened by [`Root`](crate::Root), else implicit, one per runtime.

use std::cell::Cell;
use std::fmt;
use std::ops::DerefMut;
use std::panic::Location;
use std::sync::{Arc, Weak};

use crate::ambient;
use crate::frame;
use crate::hold::Hold;
use crate::node::Node;
use crate::open;
use crate::rt::{AtomicU64, Handle, JoinHandle, Mutex, Ordering, RuntimeId, global, id_of, lock, thread_local};

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
    /// How many roots were opened with [`Root`](crate::Root) and live. Programs without one do not look for it.
    static EXPLICIT: AtomicU64 = AtomicU64::new(0);
}

/// The root that the program opened on the current runtime, if it did: what is opened outside any
/// frame is below it.
pub(crate) fn explicit(runtime: &Handle) -> Option<Arc<Node>> {
    explicit_of(id_of(runtime))
}

/// Whether the program opened a root, on any runtime.
pub(crate) fn is_any_explicit() -> bool {
    EXPLICIT.load(Ordering::Acquire) > 0
}

fn explicit_of(runtime: RuntimeId) -> Option<Arc<Node>> {
    if !is_any_explicit() {
        return None;
    }
    // Upgraded under the lock, looked at (and perhaps dropped) without it.
    let found: Vec<_> =
        roots().iter().filter(|(id, _)| *id == runtime).filter_map(|(_, node)| node.upgrade()).collect();
    found.into_iter().find(|node| !node.is_root() && !node.is_closed())
}

/// Takes the place of the runtime's root while it lives.
pub(crate) struct Registered(RuntimeId, Weak<Node>);

impl Registered {
    pub(crate) fn new(runtime: RuntimeId, node: &Arc<Node>) -> Self {
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

    /// Begins the shutdown of the program, as its first signal does; see [`Root`](crate::Root) for what follows. Calling it
    /// again changes nothing.
    ///
    /// For programs that learn in another way than by a signal that they are to end: from an operator's request, a service
    /// manager, a lost lease.
    ///
    /// # Panics
    ///
    /// If the root is not one that the program opened with [`Root`](crate::Root) or `#[sc_tokio::main]`: without one there is
    /// no program that could shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// #[sc_tokio::main(flavor = "current_thread")]
    /// async fn main() {
    ///     let root = sc_tokio::root();
    ///     sc_tokio::spawn(async move { root.begin_shutdown() }); // as a signal would
    ///     sc_tokio::shutting_down().await;
    ///     assert!(sc_tokio::is_shutting_down());
    /// }
    /// ```
    #[track_caller]
    pub fn begin_shutdown(&self) {
        self.assert_explicit();
        self.node.begin_shutdown();
    }

    /// Goes to the last phase of the shutdown at once, as the second signal does: what runs is cancelled with
    /// [`Reason::Shutdown`](crate::Reason::Shutdown). Begins the shutdown, if nobody has. Called in the last phase, as a third signal, it ends
    /// the wait for what does not stop.
    ///
    /// # Panics
    ///
    /// As [`begin_shutdown`](Self::begin_shutdown).
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// let ended = runtime.block_on(sc_tokio::Root::new().run(async {
    ///     sc_tokio::root().hurry_shutdown();
    ///     std::future::pending::<()>().await
    /// }));
    /// assert!(!ended.is_clean());
    /// ```
    #[track_caller]
    pub fn hurry_shutdown(&self) {
        self.assert_explicit();
        self.node.hurry_shutdown();
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

    #[track_caller]
    fn assert_explicit(&self) {
        assert!(
            !self.node.is_root(),
            "this runtime has no root that could shut down; run the program with `#[sc_tokio::main]` or `Root::run`"
        );
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

//! What still lives when a test is over.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::settle::{left_behind, settle};
use crate::frame;
use crate::node::Node;
use crate::root;
use crate::rt::Handle;

/// What was started and not joined.
#[derive(Debug)]
pub(super) struct Leaks {
    /// Where tasks were spawned, and scopes opened.
    pub(super) known: Vec<&'static Location<'static>>,
    /// How many tasks of the runtime there are besides. Not counted if there are known ones.
    pub(super) unknown: usize,
}

impl Leaks {
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.unknown == 0
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = |count| if count == 1 { "task" } else { "tasks" };
        if !self.known.is_empty() {
            write!(f, "{} {}, spawned at:", self.known.len(), tasks(self.known.len()))?;
            self.known.iter().try_for_each(|place| write!(f, "\n  {place}"))?;
        }
        if self.unknown > 0 {
            let and = if self.known.is_empty() { "" } else { "\nand " };
            write!(f, "{and}{} {} that sc_tokio does not know", self.unknown, tasks(self.unknown))?;
            f.write_str(" (started with `tokio::spawn`, by a dependency perhaps)")?;
        }
        Ok(())
    }
}

/// How many tasks of the current runtime do not end. When everything that this crate has spawned is joined, they are others'.
#[cfg(feature = "macros")]
pub(super) async fn alive_on_the_runtime() -> usize {
    let metrics = Handle::current().metrics();
    settle(true, || metrics.num_alive_tasks() == 0).await;
    metrics.num_alive_tasks()
}

/// Fails a test that has tasks left: for tests that do not run with [`#[sc_tokio::test]`](macro@crate::test), which looks by
/// itself. To be awaited where the test ends.
///
/// It looks for what was started with this crate (the tasks of the surrounding scope; of the runtime's root, outside any), and if
/// there is none, for other tasks of the runtime: those can only be counted, so it is for tests with a runtime of their own.
/// Tasks that are about to end are given a moment to.
///
/// It is a future, since a task that has been aborted is alive until the runtime has had a chance to drop it.
///
/// # Panics
///
/// If there are tasks left, with the places where they were spawned. Outside a Tokio runtime.
///
/// # Cancel safety
///
/// Cancel safe: dropping it ends the look-out.
///
/// # Examples
///
/// ```
/// #[tokio::test]
/// async fn serves_one_request() {
///     let server = sc_tokio::spawn(async { /* .. */ });
///     server.await.unwrap();
///     sc_tokio::assert_no_leaks().await;
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// #     sc_tokio::spawn(async {}).await.unwrap();
/// #     sc_tokio::assert_no_leaks().await;
/// # });
/// ```
#[track_caller]
pub fn assert_no_leaks() -> impl Future<Output = ()> {
    let place = Location::caller();
    async move {
        let leaks = look().await;
        assert!(leaks.is_empty(), "at {place}, there are left: {leaks}");
    }
}

async fn look() -> Leaks {
    let runtime = Handle::current();
    let scope = frame::current().map(|opener| opener.node);
    // Inside some scope, the rest of the runtime is not its business.
    let is_top =
        scope.as_ref().is_none_or(|scope| root::explicit(&runtime).is_some_and(|root| Arc::ptr_eq(&root, scope)));
    let Some(node) = scope.or_else(root::current) else { return Leaks { known: Vec::new(), unknown: 0 } };
    let known = left_behind(&node, true).await;
    if !known.is_empty() || !is_top {
        return Leaks { known, unknown: 0 };
    }
    let metrics = runtime.metrics();
    // The caller's own task, and those that carry scopes which values hold.
    let here = usize::from(tokio::task::try_id().is_some());
    let unknown = || metrics.num_alive_tasks().saturating_sub(here + owned_below(&node));
    settle(true, || unknown() == 0).await;
    Leaks { known, unknown: unknown() }
}

/// How many scopes below this one belong to values.
fn owned_below(node: &Arc<Node>) -> usize {
    let (mut count, mut next) = (0, vec![Arc::clone(node)]);
    while let Some(node) = next.pop() {
        let books = node.books();
        count += books.nested.iter().filter(|below| below.owned).count();
        next.extend(books.nested.iter().map(|below| Arc::clone(&below.node)));
    }
    count
}

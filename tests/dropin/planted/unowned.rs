//! What the guard has to find: each entry of docs/clippy.toml once. Not part of the crate: `.ci/dropin.sh` plants it.

use std::future::ready;

use tokio::runtime::{Handle, Runtime};
use tokio::task::{JoinSet, LocalSet};
use tokio_util::task::{JoinQueue, LocalPoolHandle, TaskTracker};

/// The functions.
pub fn functions() {
    tokio::spawn(ready(()));
    tokio::task::spawn_blocking(|| ());
    tokio::task::spawn_local(ready(()));
}

/// The methods of runtimes.
pub fn runtimes(runtime: &Runtime, handle: &Handle) {
    handle.spawn(ready(()));
    handle.spawn_blocking(|| ());
    runtime.spawn(ready(()));
    runtime.spawn_blocking(|| ());
}

/// The methods of sets.
pub fn sets(handle: &Handle, local: &LocalSet) {
    let mut set = JoinSet::new();
    set.spawn(ready(()));
    set.spawn_on(ready(()), handle);
    set.spawn_local(ready(()));
    set.spawn_local_on(ready(()), local);
    set.spawn_blocking(|| ());
    set.spawn_blocking_on(|| (), handle);
    local.spawn_local(ready(()));
}

/// The methods of `tokio_util`'s types.
pub fn utilities(handle: &Handle, local: &LocalSet, pool: &LocalPoolHandle) {
    let tracker = TaskTracker::new();
    tracker.spawn(ready(()));
    tracker.spawn_on(ready(()), handle);
    tracker.spawn_local(ready(()));
    tracker.spawn_local_on(ready(()), local);
    tracker.spawn_blocking(|| ());
    tracker.spawn_blocking_on(|| (), handle);
    let mut queue = JoinQueue::new();
    queue.spawn(ready(()));
    queue.spawn_on(ready(()), handle);
    queue.spawn_local(ready(()));
    queue.spawn_blocking(|| ());
    queue.spawn_blocking_on(|| (), handle);
    pool.spawn_pinned(|| ready(()));
    pool.spawn_pinned_by_idx(|| ready(()), 0);
}

/// Threads.
pub fn threads() {
    std::thread::spawn(|| ());
    let _ = std::thread::Builder::new().spawn(|| ());
}

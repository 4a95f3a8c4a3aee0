//! What `#[sc_tokio::main]` and `#[sc_tokio::test]` expand to. Not part of the interface.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::process::Termination;
use std::time::Duration;

use super::leaks::{self, Leaks};
use super::{Root, RootEnd};

/// What an attribute's options can build.
pub trait Runtime {
    fn block_on<F: Future>(&self, future: F) -> F::Output;
    fn shutdown_timeout(self, time: Duration);
}

impl Runtime for tokio::runtime::Runtime {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        Self::block_on(self, future)
    }

    fn shutdown_timeout(self, time: Duration) {
        Self::shutdown_timeout(self, time);
    }
}

impl Runtime for tokio::runtime::LocalRuntime {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        Self::block_on(self, future)
    }

    fn shutdown_timeout(self, time: Duration) {
        Self::shutdown_timeout(self, time);
    }
}

/// The root of a program, which listens for signals if it can.
pub const fn root() -> Root {
    #[cfg(feature = "signal")]
    return Root::new().signals();
    #[cfg(not(feature = "signal"))]
    Root::new()
}

/// Runs a program on its own runtime, whose end is bounded.
pub fn program<T, F, R>(runtime: io::Result<R>, root: Root, main: F) -> RootEnd<T>
where
    F: Future<Output = T>,
    R: Runtime,
{
    let after_a_panic = root.times.for_the_runtime();
    on(runtime, root.run(main), after_a_panic, RootEnd::time_left)
}

/// The value of a function that is not the program's `main`, and so cannot say it by its exit status.
///
/// # Panics
///
/// If the end was not clean. What was cut short has been named.
pub fn value<T>(ended: RootEnd<T>) -> T {
    assert!(ended.is_clean(), "the shutdown cut the program short; what had not finished is named above");
    ended.into_value().expect("a clean end has a value")
}

/// Runs a test on its own runtime.
///
/// # Panics
///
/// If the test left tasks behind, or one of them panicked when its body was done.
pub fn test<T, F, R>(runtime: io::Result<R>, policy: LeakPolicy, test: F) -> T
where
    T: Termination,
    F: Future<Output = T>,
    R: Runtime,
{
    // Behind a pointer, so that what runs it is compiled once for each type of result, and not for each test.
    let test: Pin<Box<dyn Future<Output = T> + '_>> = Box::pin(test);
    run_test(runtime, policy, test)
}

/// What becomes of tasks that a test leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeakPolicy {
    /// They fail the test.
    Deny,
    /// They are cancelled and joined.
    Allow,
}

fn run_test<T, R>(runtime: io::Result<R>, policy: LeakPolicy, test: Pin<Box<dyn Future<Output = T> + '_>>) -> T
where
    T: Termination,
    R: Runtime,
{
    let root = Root { patient: true, ..Root::new() };
    let after_a_panic = root.times.for_the_runtime();
    let looked = async {
        let ended = root.run(test).await;
        // What is abandoned is alive, and known.
        let unknown = if ended.abandoned().is_empty() { leaks::alive_on_the_runtime().await } else { 0 };
        (ended, unknown)
    };
    let (ended, unknown) = on(runtime, looked, after_a_panic, |(ended, _)| ended.time_left());
    let late = ended.failed_late().join("\n  ");
    let failed = (!late.is_empty()).then(|| format!("tasks failed when the body of the test was done:\n  {late}"));
    let left = Leaks { known: ended.left_behind().to_vec(), unknown };
    let left = (policy == LeakPolicy::Deny && !left.is_empty()).then(|| format!("the test left behind {left}"));
    let value = ended.into_value().expect("the test's own shutdown cut it short");
    let complaints: Vec<_> = left.into_iter().chain(failed).collect();
    if !complaints.is_empty() {
        // An error that the test returned is told, too.
        let _ = value.report();
        panic!("{}", complaints.join("\n"));
    }
    value
}

/// Runs a future on a runtime of its own, and ends that in a bounded time.
fn on<T, R: Runtime>(
    runtime: io::Result<R>,
    future: impl Future<Output = T>,
    after_a_panic: Duration,
    else_after: impl FnOnce(&T) -> Duration,
) -> T {
    let runtime = runtime.expect("a runtime can be built");
    match catch_unwind(AssertUnwindSafe(|| runtime.block_on(future))) {
        Ok(value) => {
            runtime.shutdown_timeout(else_after(&value));
            value
        }
        Err(payload) => {
            runtime.shutdown_timeout(after_a_panic);
            resume_unwind(payload)
        }
    }
}

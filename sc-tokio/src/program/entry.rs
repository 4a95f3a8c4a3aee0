//! What `#[sc_tokio::main]` and `#[sc_tokio::test]` expand to. Not part of the interface.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::time::Duration;

use super::{Root, RootEnd};

/// How long a runtime waits for blocking code after a panic.
const AFTER_A_PANIC: Duration = Duration::from_secs(1);

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
    let runtime = runtime.expect("the runtime of the program can be built");
    match catch_unwind(AssertUnwindSafe(|| runtime.block_on(root.run(main)))) {
        Ok(ended) => {
            runtime.shutdown_timeout(ended.time_left());
            ended
        }
        Err(payload) => {
            runtime.shutdown_timeout(AFTER_A_PANIC);
            resume_unwind(payload)
        }
    }
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
pub fn test<T, F, R>(runtime: io::Result<R>, leaks: Leaks, test: F) -> T
where
    F: Future<Output = T>,
    R: Runtime,
{
    // Behind a pointer, so that what runs it is compiled once for each type of result, and not for each test.
    let test: Pin<Box<dyn Future<Output = T> + '_>> = Box::pin(test);
    run_test(runtime, leaks, test)
}

/// What becomes of tasks that a test leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaks {
    /// They fail the test.
    Deny,
    /// They are cancelled and joined.
    Allow,
}

fn run_test<T, R: Runtime>(runtime: io::Result<R>, leaks: Leaks, test: Pin<Box<dyn Future<Output = T> + '_>>) -> T {
    let root = Root { patient: true, ..Root::new() };
    let ended = program(runtime, root, test);
    let left = ended.left_behind();
    let places: Vec<_> = left.iter().map(ToString::to_string).collect();
    let clean = leaks == Leaks::Allow || left.is_empty();
    assert!(clean, "the test left {} tasks behind, spawned at:\n  {}", left.len(), places.join("\n  "));
    let late = ended.failed_late();
    assert!(
        late.is_empty(),
        "{} tasks failed when the body of the test was done:\n  {}",
        late.len(),
        late.join("\n  ")
    );
    value(ended)
}

//! The macros, with their documentation.

/// Opens a scope for a block.
///
/// ```text
/// nursery!( [<Policy>] async [move] |n [: &Nursery<'_, E>]| [-> Result<T, E>] { body } )
/// ```
///
/// The value is a [`NurseryBuilder`](crate::NurseryBuilder): set it up with its methods, then await it. `n` is a
/// [`Nursery`](crate::Nursery). `?` and `return` leave the body, not the enclosing function. With `async move` the
/// captures move into the block, and borrowed children may still borrow them. `<Supervise>` is short for
/// `.policy(Supervise)`; without that header the input is a Rust expression, which rustfmt formats.
///
/// A detached spawn written in the body (`tokio::spawn` and its relatives, also inside a macro call) is a compile error
/// that names the replacement.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sc_tokio::{Cancelled, Supervise, nursery};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// let total = nursery!(<Supervise> async |n| -> Result<u32, Cancelled> {
///     let parts: Vec<_> = (0..4).map(|i| n.spawn(async move { Ok(i) })).collect();
///     let mut total = 0;
///     for part in parts {
///         total += part.join().await.unwrap_or(0); // one that failed counts nothing
///     }
///     Ok(total)
/// })
/// .named("total")
/// .timeout(Duration::from_secs(1))
/// .await?;
/// assert_eq!(total, 6);
/// # Ok(())
/// # }
/// ```
pub use sc_macros::nursery;

/// Makes an `async fn` a scope: nothing that it starts survives its return.
///
/// `#[scoped]` for functions that spawn with [`spawn`](crate::spawn), `#[scoped(|n|)]` for those that want the
/// nursery. Options: `policy`, `timeout`, `deadline`, `grace`, `limit`, `name`, `map_cancelled`, each `= expression`, and
/// `allow(tokio_spawn)`. The function returns `Result<T, E>` (an alias will do) or nothing; one that returns nothing
/// takes no deadline, since it could not say that it was missed. Arguments live outside the scope, so that borrowed
/// children can borrow them.
///
/// Put it above `#[tokio::main]`, `#[tokio::test]` and `#[tracing::instrument]`; below `#[async_trait]` it works too.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sc_tokio::{Cancelled, scoped};
///
/// #[scoped(|n|, timeout = Duration::from_secs(2))]
/// async fn total(text: &str) -> Result<usize, Cancelled> {
///     let (words, bytes) = (
///         n.spawn_borrowed(async { Ok(text.split(' ').count()) }),
///         n.spawn_borrowed(async { Ok(text.len()) }),
///     );
///     Ok(words.await + bytes.await)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// assert_eq!(total("two words").await?, 11);
/// # Ok(())
/// # }
/// ```
pub use sc_macros::scoped;

/// Runs a program: an `async fn main` in a root scope, on a runtime of its own.
///
/// What is spawned outside any other scope belongs to the root. When the body returns, tasks that are left are cancelled with
/// [`Reason::MainReturned`](crate::Reason::MainReturned) and joined: nothing dies in the middle of a write. SIGTERM and SIGINT (ctrl-c on
/// other systems) begin a shutdown, a second one ends it; its phases are described at [`Root`](crate::Root), which is for
/// programs that own their runtime. The runtime's end is bounded, too: it waits for blocking code as long as is left of
/// `abandon_after`, and not for ever.
///
/// Needs a dependency on `tokio` with the feature of the runtime (`rt-multi-thread`, unless another `flavor` is asked for).
///
/// # Exit status
///
/// The body returns what any `main` may. Its value gives the exit status if the end was clean: nothing was cut short by the end of a
/// drain, nothing abandoned. Else the status is a failure, whatever the value; an error is printed in either case. A body that is still running
/// when the drain is over is dropped, so there is no value then.
///
/// On a function of another name the value is returned to the caller, of whatever type it is; an end that is not clean is
/// a panic.
///
/// # Options
///
/// | option | value | default |
/// |---|---|---|
/// | `drain` | how long everything may take to finish when a shutdown has begun, see [`Root::drain`](crate::Root::drain) | 20 s |
/// | `pre_drain` | for how long work is taken on after the signal, see [`Root::pre_drain`](crate::Root::pre_drain) | not at all |
/// | `abandon_after` | how long to wait for what was cancelled, see [`Root::abandon_after`](crate::Root::abandon_after) | 5 s |
/// | `signals` | whether to listen for signals, `true` or `false` | with the feature `signal` |
///
/// The first three are expressions of type `Duration`. The others are those of `#[tokio::main]`, with the same values and
/// defaults: `flavor`, `worker_threads`, `start_paused`, `unhandled_panic`, `name`, `crate`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// #[sc_tokio::main(flavor = "current_thread", drain = Duration::from_secs(10))]
/// async fn main() -> std::io::Result<()> {
///     sc_tokio::spawn(std::future::pending::<()>()); // ends with the program
///     Ok(())
/// }
/// ```
pub use sc_macros::main;

/// Runs a test: an `async fn` in a root scope, on a runtime of its own.
///
/// The test fails if it leaves tasks behind, and says where they were spawned. Tasks that this crate did not spawn (by
/// `tokio::spawn`, in a dependency) are counted; they fail it, too. It fails if a task panics when the body is done. What
/// is left is cancelled and joined in any case, and the runtime ended in a bounded time, so that it cannot disturb another test.
///
/// `leaks = "allow"` lets a test leave what it likes. The other options are those of `#[tokio::test]`, with the same values
/// and defaults: `flavor` (a current-thread runtime by default), `worker_threads`, `start_paused`, `unhandled_panic`, `name`, `crate`. A test that has to
/// run with another attribute awaits [`assert_no_leaks`](crate::assert_no_leaks) where it ends.
///
/// # Examples
///
/// ```
/// #[sc_tokio::test(start_paused = true)]
/// async fn serves_one_request() {
///     let server = sc_tokio::spawn(async { /* .. */ });
///     server.await.unwrap();
/// }
/// ```
pub use sc_macros::test;

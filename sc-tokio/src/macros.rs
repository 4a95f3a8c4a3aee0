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

/// `#[tokio::main]` with a root scope around the body; takes the same arguments.
///
/// What is spawned outside any other scope belongs to the root. When the body returns, tasks that are left are
/// cancelled with [`Reason::MainReturned`](crate::Reason::MainReturned) and joined: nothing dies in the middle of a
/// write. Needs a dependency on `tokio` with its `macros` feature. See [`Root`](crate::Root) for programs that own their
/// runtime.
///
/// # Examples
///
/// ```
/// #[sc_tokio::main(flavor = "current_thread")]
/// async fn main() {
///     sc_tokio::spawn(std::future::pending::<()>()); // ends with the program
/// }
/// ```
pub use sc_macros::main;

/// `#[tokio::test]` with a root scope around the body; takes the same arguments.
///
/// The test fails if it leaves tasks behind, and says where they were spawned; also if a task panics when the body is done. (They are cancelled and joined in any
/// case, so that they cannot disturb another test.)
///
/// # Examples
///
/// ```
/// #[sc_tokio::test]
/// async fn serves_one_request() {
///     let server = sc_tokio::spawn(async { /* .. */ });
///     server.await.unwrap();
/// }
/// ```
pub use sc_macros::test;

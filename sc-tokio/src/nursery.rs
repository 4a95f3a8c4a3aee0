//! The lexical block's handle, and what is handed to it at its first poll.

use std::cell::Cell;
use std::fmt::{self, Debug};
use std::ops::Deref;
use std::panic::Location;

use crate::child::{BorrowedTask, Child, ChildOutput, TaskBuilder};
use crate::open::{self, Setup};
use crate::rt::{Mutex, lock, thread_local};
use crate::scope::Scope;

thread_local! {
    /// From the poll of a nursery's future to the block inside it, which opens the scope first
    /// thing. Set and taken within one poll.
    static HANDOVER: Cell<Option<Setup>> = const { Cell::new(None) };
}

/// The handle of a [`nursery!`](crate::nursery) block: a [`Scope`] that also takes borrowed children.
///
/// `'env` is what surrounds the block: a borrowed child may borrow what was declared before the
/// block (with `async move`, also what was moved into it), and nothing declared inside it. The handle
/// cannot leave the block (P2):
///
/// ```compile_fail
/// # use sc_tokio::{Cancelled, nursery};
/// # async fn f() -> Result<(), Cancelled> {
/// nursery!(async |n| {
///     tokio::task::spawn(async move { n.is_cancelled() }); // `n` does not live long enough
///     Ok(())
/// })
/// .await
/// # }
/// ```
pub struct Nursery<'env, E> {
    scope: Scope<E>,
    /// Borrowed children that the driver has not taken over. Invariant in `'env`, and with
    /// drop glue: both are what keeps a child from borrowing from inside the block.
    inbox: Mutex<Option<Box<Inbox<'env>>>>,
}

/// Borrowed children on their way to the driver. Boxed, since most nurseries have none.
#[derive(Default)]
pub(crate) struct Inbox<'env>(pub(crate) Vec<BorrowedTask<'env>>);

impl<E> Nursery<'_, E> {
    /// Opens the scope of the nursery that is being polled.
    pub(crate) fn open() -> Self {
        let setup = HANDOVER.with(Cell::take).expect("a nursery opens its scope when its future is first polled");
        Self { scope: Scope::of(open::open(setup)), inbox: Mutex::new(None) }
    }

    pub(crate) fn hand_over(setup: Setup) {
        HANDOVER.with(|handover| handover.set(Some(setup)));
    }
}

impl<'env, E> Nursery<'env, E> {
    pub(crate) fn push(&self, task: BorrowedTask<'env>) {
        lock(&self.inbox).get_or_insert_default().0.push(task);
        self.node().borrowed_arrived();
    }

    pub(crate) fn take_inbox(&self) -> Option<Box<Inbox<'env>>> {
        lock(&self.inbox).take()
    }
}

impl<'env, E: Debug + Send + 'static> Nursery<'env, E> {
    /// Spawns a child in the body's own task, concurrent but not parallel, which may borrow from
    /// around the block.
    ///
    /// It is polled between the body's polls, so neither of them may block. A borrowed child is
    /// `Send`, and cannot hold the nursery or a sibling's handle. Against `FuturesUnordered`: that
    /// one is polled by hand, has no handles, and leaves what it holds to whoever drops it.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Cancelled, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Cancelled> {
    /// let template = String::from("hello");
    /// let length = nursery!(async |n| {
    ///     let length = n.spawn_borrowed(async { Ok(template.len()) });
    ///     Ok(length.await)
    /// })
    /// .await?;
    /// assert_eq!(length, template.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is declared inside the block cannot be borrowed:
    ///
    /// ```compile_fail
    /// # use sc_tokio::{Cancelled, nursery};
    /// # async fn f() -> Result<(), Cancelled> {
    /// nursery!(async |n| {
    ///     let inside = String::new();
    ///     n.spawn_borrowed(async { Ok(inside.len()) });
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_borrowed<'n, F>(&'n self, future: F) -> Child<'n, <F::Output as ChildOutput<E>>::Value, E>
    where
        F: Future + Send + 'env,
        F::Output: ChildOutput<E>,
        <F::Output as ChildOutput<E>>::Value: Send + 'env,
    {
        crate::child::spawn_plain(self, future, Location::caller())
    }

    /// Begins a child with attributes; as [`Scope::task`], and offers borrowed children too.
    pub fn task(&self) -> TaskBuilder<'_, E, &Self> {
        TaskBuilder::in_nursery(self)
    }
}

impl<E> Deref for Nursery<'_, E> {
    type Target = Scope<E>;

    fn deref(&self) -> &Scope<E> {
        &self.scope
    }
}

impl<E> fmt::Debug for Nursery<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nursery").field(&self.scope).finish()
    }
}

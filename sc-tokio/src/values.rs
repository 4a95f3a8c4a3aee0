//! Values that flow down the tree of tasks: `scope_local!`.
//!
//! The values bound where code runs are an immutable set in a thread-local slot. Whoever binds one puts a larger set
//! there while it is polled; a child captures its spawner's set and puts that there while it runs. Until the first value
//! is bound in the process, a spawn reads one flag and nothing else.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::rt::thread_local;

/// Declares values that children inherit from the code that spawns them: a request id, a tenant, a locale.
///
/// The grammar is that of `tokio::task_local!`: attributes, visibility, and as many statics as you like. Each becomes a
/// [`ScopeLocal`], which has no value until one is bound with [`scope`](ScopeLocal::scope).
///
/// # Examples
///
/// ```
/// use sc_tokio::{Cancelled, nursery, scope_local};
///
/// scope_local! {
///     /// The request that is being served.
///     pub static REQUEST_ID: u64;
///     static TENANT: String;
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// REQUEST_ID
///     .scope(7, async {
///         nursery!(async |n| {
///             n.spawn(async { assert_eq!(REQUEST_ID.get(), 7) }); // another task, the same request
///             Ok(())
///         })
///         .await
///     })
///     .await?;
/// assert!(REQUEST_ID.try_get().is_err() && TENANT.try_get().is_err());
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! scope_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty; $($rest:tt)*) => {
        $crate::scope_local!($(#[$attribute])* $visibility static $name: $type);
        $crate::scope_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty) => {
        $(#[$attribute])*
        $visibility static $name: $crate::ScopeLocal<$type> =
            $crate::__private::scope_local(::core::stringify!($name));
    };
}

/// A value that code finds without being handed it, bound for a piece of code and for the children that this code spawns;
/// declared with [`scope_local!`](crate::scope_local).
///
/// Every kind of child inherits what is bound where it is spawned: parallel, borrowed and blocking children, daemons,
/// finalizers (where they are registered), and the tasks of [`spawn`](crate::spawn),
/// [`spawn_blocking`](crate::spawn_blocking), [`spawn_shielded`](crate::spawn_shielded) and
/// [`root().spawn`](crate::RootHandle::spawn). So values come from the spawner, while cancellation and deadline come from
/// the scope. [`spawn_detached`](crate::spawn_detached) inherits nothing. A set of values never changes: rebinding inside a
/// body is seen by children that are spawned there, not by those that run already.
///
/// The value is shared, not cloned; it is dropped when the code it was bound for and the last child that inherited it
/// have ended, before their scope resolves (P1). A panic of its destructor in a child is the scope's failure (P4). Values
/// are not for what a function needs to do its work: pass that as an argument. They are for what only the edges need, as
/// logging and tracing do.
///
/// Against `tokio::task_local!`: its values are not inherited by `tokio::spawn`, so each spawn has to bind them again;
/// these are, by children. (By `tokio::spawn` these are not inherited either.) Use the neighbour for values that are not
/// `Send + Sync`, or that must not reach children. The idea is Java's scoped values (JEP 506), which structured task
/// scopes inherit.
///
/// Code that polls tasks it did not spawn, as a `LocalSet` or a current-thread runtime's `block_on` does, shows what is
/// bound around it to tasks of Tokio's own, as `task_local!` does; never to children.
pub struct ScopeLocal<T: Send + Sync + 'static> {
    /// For messages; and it gives the static a size, so that its address is its own.
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T: Send + Sync + 'static> ScopeLocal<T> {
    pub(crate) const fn declared(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    /// Binds `value` while `future` runs, and for what it spawns.
    ///
    /// The values of other statics that are bound where the future is polled first stay bound inside. What this static was
    /// bound to there is shadowed, and is seen again outside.
    ///
    /// # Cancel safety
    ///
    /// As `future`, which is dropped with the value bound.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::scope_local;
    ///
    /// scope_local! { static DEPTH: u32 }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// DEPTH
    ///     .scope(1, async {
    ///         DEPTH.scope(2, async { assert_eq!(DEPTH.get(), 2) }).await;
    ///         assert_eq!(DEPTH.get(), 1);
    ///     })
    ///     .await;
    /// # }
    /// ```
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> ScopeLocalFuture<T, F> {
        let binding = Some(self.binding(value));
        let within = Within { binding, values: Values::default(), code: Some(future) };
        ScopeLocalFuture { within, value: PhantomData }
    }

    /// Binds `value` while `closure` runs, and for what it spawns.
    ///
    /// # Examples
    ///
    /// ```
    /// sc_tokio::scope_local! { static LOCALE: &'static str }
    ///
    /// let greeting = LOCALE.sync_scope("fr", || LOCALE.with(|locale| if *locale == "fr" { "bonjour" } else { "hello" }));
    /// assert_eq!(greeting, "bonjour");
    /// ```
    pub fn sync_scope<R>(&'static self, value: T, closure: impl FnOnce() -> R) -> R {
        let mut values = Values::current().with(self.binding(value));
        let _entered = Entered::new(&mut values);
        closure()
    }

    /// Looks at the value that is bound here.
    ///
    /// # Panics
    ///
    /// If none is; [`try_with`](Self::try_with) says so instead.
    #[track_caller]
    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        match self.try_with(look) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// Looks at the value that is bound here.
    ///
    /// # Errors
    ///
    /// If none is.
    pub fn try_with<R>(&'static self, look: impl FnOnce(&T) -> R) -> Result<R, NotBound> {
        let values = if IN_USE.load(Ordering::Relaxed) { Values::current() } else { Values::default() };
        let value = values.find(self.key()).and_then(<dyn Any + Send + Sync>::downcast_ref);
        value.map(look).ok_or(NotBound { name: self.name })
    }

    /// A clone of the value that is bound here.
    ///
    /// # Panics
    ///
    /// If none is; [`try_get`](Self::try_get) says so instead.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// A clone of the value that is bound here.
    ///
    /// # Errors
    ///
    /// If none is.
    pub fn try_get(&'static self) -> Result<T, NotBound>
    where
        T: Clone,
    {
        self.try_with(T::clone)
    }

    fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn binding(&'static self, value: T) -> Binding {
        Binding { key: self.key(), value: Arc::new(value) }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for ScopeLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeLocal").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A [`ScopeLocal`] was asked for its value where none is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotBound {
    name: &'static str,
}

impl fmt::Display for NotBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name } = self;
        write!(
            f,
            "`{name}` is not bound here: wrap the code that needs it in `{name}.scope(value, future)`; children inherit it, \
             tasks started with `tokio::spawn` or `spawn_detached` do not"
        )
    }
}

impl Error for NotBound {}

pin_project! {
    /// A future with a value bound; made by [`ScopeLocal::scope`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct ScopeLocalFuture<T, F> {
        #[pin]
        within: Within<F>,
        value: PhantomData<fn() -> T>,
    }
}

impl<T, F: Future> Future for ScopeLocalFuture<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().within.poll(cx)
    }
}

impl<T, F> fmt::Debug for ScopeLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeLocalFuture").finish_non_exhaustive()
    }
}

/// One value, and the static it is bound to.
#[derive(Clone)]
struct Binding {
    key: usize,
    value: Arc<dyn Any + Send + Sync>,
}

/// The values that are bound in one place. A flat list and not a chain, so that a value which is shadowed again and
/// again, from child to child, leaves nothing behind (P11).
#[derive(Clone, Default)]
pub(crate) struct Values(Option<Arc<Vec<Binding>>>);

/// Whether a value was ever bound. Nobody waits for it: who bound a value has seen it, and who was spawned from there too.
static IN_USE: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Without a destructor, as the slot for frames: what is put in is taken out again by the same call.
    static CURRENT: Cell<ManuallyDrop<Values>> = const { Cell::new(ManuallyDrop::new(Values(None))) };
}

/// What a child that is spawned here inherits. `None`: nothing was ever bound, and there is nothing to keep. Else even an
/// empty set is kept, lest the child sees what is bound around whoever happens to poll it.
#[inline]
pub(crate) fn inherited() -> Option<Values> {
    if is_in_use() { Some(Values::current()) } else { None }
}

/// Whether anything was ever bound.
#[inline]
pub(crate) fn is_in_use() -> bool {
    IN_USE.load(Ordering::Relaxed)
}

impl Values {
    fn current() -> Self {
        let mut none = Self::default();
        let here = Entered::new(&mut none);
        here.outer.clone()
    }

    fn with(&self, binding: Binding) -> Self {
        IN_USE.store(true, Ordering::Relaxed);
        let others = self.0.iter().flat_map(|list| list.iter()).filter(|other| other.key != binding.key);
        let mut list: Vec<Binding> = others.cloned().collect();
        list.push(binding);
        Self(Some(Arc::new(list)))
    }

    fn find(&self, key: usize) -> Option<&(dyn Any + Send + Sync)> {
        let list = self.0.as_deref()?;
        list.iter().find(|binding| binding.key == key).map(|binding| &*binding.value)
    }

    /// Runs code with these values.
    pub(crate) fn around<R>(&mut self, code: impl FnOnce() -> R) -> R {
        let _entered = Entered::new(self);
        code()
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Values").field(&self.0.as_ref().map_or(0, |list| list.len())).finish()
    }
}

/// Values that are in the slot; what was there is in `outer` meanwhile.
struct Entered<'v> {
    outer: &'v mut Values,
}

impl<'v> Entered<'v> {
    fn new(values: &'v mut Values) -> Self {
        swap(values);
        Self { outer: values }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        swap(self.outer);
    }
}

fn swap(values: &mut Values) {
    CURRENT.with(|slot| {
        let old = slot.replace(ManuallyDrop::new(std::mem::take(values)));
        *values = ManuallyDrop::into_inner(old);
    });
}

pin_project! {
    /// A future that is polled and dropped with these values.
    pub(crate) struct Within<F> {
        // Added to the values that are there at the first poll.
        binding: Option<Binding>,
        values: Values,
        // `None` once it is dropped.
        #[pin]
        code: Option<F>,
    }

    impl<F> PinnedDrop for Within<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.code.is_some() {
                bind(this.binding, this.values);
                this.values.around(|| this.code.set(None));
            }
        }
    }
}

fn bind(binding: &mut Option<Binding>, values: &mut Values) {
    if let Some(binding) = binding.take() {
        *values = Values::current().with(binding);
    }
}

impl<F> Within<F> {
    pub(crate) const fn new(values: Values, code: F) -> Self {
        Self { binding: None, values, code: Some(code) }
    }

    /// Sees nothing of what is bound around it.
    pub(crate) const fn nothing(code: F) -> Self {
        Self::new(Values(None), code)
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        bind(this.binding, this.values);
        let polled = this.values.around(|| {
            let code = this.code.as_mut().as_pin_mut().expect("a future is not polled after it resolved");
            let polled = code.poll(cx);
            if polled.is_ready() {
                this.code.set(None);
            }
            polled
        });
        if polled.is_ready() {
            // Not kept until whoever awaited us is dropped.
            drop(std::mem::take(this.values));
        }
        polled
    }
}

#[cfg(all(test, not(sc_shuttle)))]
mod tests {
    use std::panic::Location;
    use std::sync::Arc;

    use super::{IN_USE, inherited};
    use crate::child::Attributes;
    use crate::frame::Ambient;
    use crate::{Cancelled, scope};

    scope_local! { static VALUE: u8 }

    /// The only unit test that binds a value: the flag is the process's.
    #[tokio::test]
    async fn until_a_value_is_bound_a_child_has_nothing_to_keep() {
        let ended: Result<(), Cancelled> = scope(async |s| {
            let admit =
                || Attributes::at(Location::caller()).admitted(s.node(), Ambient::Plain(Arc::clone(s.node())), 0, 0);
            assert!(admit().extra.is_none() && inherited().is_none());
            assert!(VALUE.try_get().is_err());
            assert!(!IN_USE.load(std::sync::atomic::Ordering::Relaxed));
            VALUE.sync_scope(1, || assert!(admit().extra.is_some()));
            Ok(())
        })
        .await;
        ended.unwrap();
    }
}

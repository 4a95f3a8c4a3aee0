//! Readiness: children that say when they are ready, after Trio's `nursery.start`.
//!
//! Until it has signalled, such a child is isolated: its failure belongs to the call that started it. From then on it
//! is its scope's. Which of the two holds is decided once, by whoever comes first: the signal, or the child's exit,
//! which asks for it before it is recorded.

use std::error::Error;
use std::fmt::{self, Debug};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sc_core::{CancelRequest, Cancelled, ChildKind, Failure, Member, Name, Panic, Reason, ScopeError};

use super::wrapped::wrapped;
use super::{Attributes, Child, ChildOutput};
use crate::fault;
use crate::frame::Ambient;
use crate::limit;
use crate::rt::{Mutex, lock};
use crate::scope::{Scope, start_task};
use crate::wake::{drop_quietly, wake_all};

/// With this a child that is being started says that it is ready; made by [`Scope::start`].
///
/// It may be handed on, to a sibling or to a callback of a library. Dropping it says nothing: the call of `start` then
/// waits for the child's end.
///
/// The like of Trio's `task_status`, whose `started()` can be called twice, and then raises.
#[must_use = "the child that is being started is not ready before `signal` is called"]
pub struct Ready<V> {
    slot: Option<Arc<Slot<V>>>,
}

impl<V> Ready<V> {
    /// One that nobody waits for, so that a function which takes a `Ready` can be called without `start`. (Trio:
    /// `TASK_STATUS_IGNORED`.)
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::Ready;
    ///
    /// async fn serve(ready: Ready<u16>) -> std::io::Result<()> {
    ///     ready.signal(8080);
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// serve(Ready::ignored()).await
    /// # }
    /// ```
    pub const fn ignored() -> Self {
        Self { slot: None }
    }

    /// Says that the child is ready, and gives `value` to the call of `start`. From here on the child's failure is its
    /// scope's, judged by its policy.
    ///
    /// If that call is gone, or the child has ended, the value is dropped and nothing else happens.
    pub fn signal(self, value: V) {
        if let Some(slot) = self.slot {
            slot.signal(value);
        }
    }
}

impl<V> Debug for Ready<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("ignored", &self.slot.is_none()).finish()
    }
}

/// What the child, its [`Ready`] and the call of `start` share.
struct Slot<V>(Mutex<State<V>>);

struct State<V> {
    stage: Stage<V>,
    waker: Option<Waker>,
}

enum Stage<V> {
    Starting,
    /// The child is its scope's. The value lies here until it is taken.
    Ready(Option<V>),
    /// The child ended, or the call is gone, before there was a signal.
    Over,
}

impl<V> Slot<V> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { stage: Stage::Starting, waker: None })))
    }

    fn signal(&self, value: V) {
        let (unwanted, waker) = {
            let mut slot = lock(&self.0);
            if matches!(slot.stage, Stage::Starting) {
                slot.stage = Stage::Ready(Some(value));
                (None, slot.waker.take())
            } else {
                (Some(value), None)
            }
        };
        drop(unwanted);
        wake_all(waker);
    }

    /// The value; `None` if there will be none.
    fn poll(&self, cx: &Context<'_>) -> Poll<Option<V>> {
        let waker = cx.waker().clone();
        let mut state = lock(&self.0);
        let old = match &mut state.stage {
            Stage::Starting => state.waker.replace(waker),
            Stage::Ready(value) => return Poll::Ready(value.take()),
            Stage::Over => return Poll::Ready(None),
        };
        drop(state);
        drop(old);
        Poll::Pending
    }

    /// The call is gone. Gives the value that nobody took.
    fn abandon(&self) -> Option<V> {
        let (value, waker) = {
            let mut state = lock(&self.0);
            let value = match &mut state.stage {
                Stage::Ready(value) => value.take(),
                starting => {
                    *starting = Stage::Over;
                    None
                }
            };
            (value, state.waker.take())
        };
        drop(waker);
        value
    }
}

/// A slot whose value's type the child does not know.
trait Readiness: Send + Sync {
    /// The child has ended. Whether it had signalled.
    fn end(&self) -> bool;
    fn waker(&self) -> Option<Waker>;
}

impl<V: Send> Readiness for Slot<V> {
    fn end(&self) -> bool {
        let mut state = lock(&self.0);
        if matches!(state.stage, Stage::Starting) {
            state.stage = Stage::Over;
        }
        matches!(state.stage, Stage::Ready(_))
    }

    fn waker(&self) -> Option<Waker> {
        lock(&self.0).waker.take()
    }
}

/// The child's side of the slot. Dropped with the child, after its exit was recorded.
pub(crate) struct Starting(Arc<dyn Readiness>);

impl Starting {
    /// What the child is at its exit, which this call decides.
    pub(crate) fn kind_at_exit(&self, kind: ChildKind) -> ChildKind {
        if self.0.end() { kind } else { isolated(kind) }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.end();
        wake_all(self.0.waker());
    }
}

impl Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").finish_non_exhaustive()
    }
}

const fn isolated(kind: ChildKind) -> ChildKind {
    ChildKind { isolated: true, ..kind }
}

/// A closure over a borrowed handle and a [`Ready`] that returns a `Send` future, as
/// `async move |n: &Scope<E>, ready: Ready<V>| ..` is one. Sealed: implemented for every closure of that shape.
pub trait StartFn<A, V, O>: FnOnce(A, Ready<V>) -> Self::Future {
    /// What the closure returns.
    type Future: Future<Output = O> + Send;
}

impl<A, V, O, F, Fut> StartFn<A, V, O> for F
where
    F: FnOnce(A, Ready<V>) -> Fut,
    Fut: Future<Output = O> + Send,
{
    type Future = Fut;
}

impl<E: Debug + Send + 'static> Scope<E> {
    /// Starts a child and waits until it says that it is ready: that the socket is bound, the subscription made, the
    /// cache filled.
    ///
    /// The child is given a [`Ready`], and calls [`signal`](Ready::signal) on it with what its starter wants to know. The
    /// call gives that value and the child's handle. A child that fails before its signal fails this call, and not the
    /// scope: the caller may try another port. A child that fails after it is judged by the scope's policy, as any other.
    ///
    /// The child is started by the call itself, like a spawned one, so that several can be started before the first is
    /// awaited. It is a child of this scope from its beginning: a start that is pending keeps the scope open, the
    /// scope's cancellation reaches it, and under a [`Limit`](crate::Limit) it takes a seat, which it keeps when it is
    /// ready. In a cancelled scope it is refused, never polled, and the call gives the cancellation.
    ///
    /// A child that drops its `Ready` is waited for all the same, and then found to have ended without a signal.
    ///
    /// Idea and rules are those of Trio's `nursery.start`; there the child is moved into the nursery when it is ready,
    /// here it is in it from the beginning. Against [`spawn`](Self::spawn) and a `oneshot` channel: those leave to you what
    /// happens when the child fails before it has sent, or when the receiver is dropped. Use [`spawn`](Self::spawn) where
    /// nobody has to wait for anything.
    ///
    /// # Errors
    ///
    /// [`StartError`]: the child's error or panic, its cancellation, or that it ended without a signal.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future before it resolved stops the child, which is not a failure (P5), and the
    /// scope waits for it. Await it by reference in a `select!` loop.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Ready, StartError, nursery};
    /// use tokio::net::TcpListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// nursery!(async |n| -> std::io::Result<()> {
    ///     let server = async |ready: Ready<u16>| {
    ///         let listener = TcpListener::bind("127.0.0.1:0").await?; // fails the call of `start`
    ///         ready.signal(listener.local_addr()?.port());
    ///         listener.accept().await?; // fails the scope
    ///         Ok(())
    ///     };
    ///     let (port, _server) = n.start(server).await.map_err(StartError::into_error)?;
    ///     tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    #[track_caller]
    pub fn start<V, F, Fut>(&self, code: F) -> Start<'_, V, <Fut::Output as ChildOutput<E>>::Value, E>
    where
        V: Send + 'static,
        F: FnOnce(Ready<V>) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: ChildOutput<E>,
        <Fut::Output as ChildOutput<E>>::Value: Send + 'static,
    {
        self.start_child(code, Attributes::at(Location::caller()))
    }

    /// Starts a child that can spawn and start siblings: it gets the scope by reference. See [`start`](Self::start) and
    /// [`spawn_with`](Self::spawn_with).
    ///
    /// A sibling that it spawned, or that signalled to it, is the scope's at once, whether the starting child is ready or
    /// not. A child whose helpers should end with it opens a nursery of its own.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Cancelled, Ready, Scope, StartError, nursery};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Cancelled> {
    /// nursery!(async |n| -> Result<(), Cancelled> {
    ///     let service = async |n: &Scope<Cancelled>, ready: Ready<&'static str>| {
    ///         let storage = n.start(async |ready: Ready<u32>| { ready.signal(7); Ok(()) });
    ///         let (version, _storage) = storage.await.map_err(StartError::into_error)?;
    ///         ready.signal(if version == 7 { "new" } else { "old" });
    ///         Ok(())
    ///     };
    ///     let (kind, _service) = n.start_with(service).await.map_err(StartError::into_error)?;
    ///     assert_eq!(kind, "new");
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    #[track_caller]
    pub fn start_with<V, F, O>(&self, code: F) -> Start<'_, V, O::Value, E>
    where
        V: Send + 'static,
        F: for<'a> StartFn<&'a Self, V, O> + Send + 'static,
        O: ChildOutput<E> + 'static,
        O::Value: Send + 'static,
    {
        self.start_child_with(code, Attributes::at(Location::caller()))
    }

    pub(crate) fn start_child<V, F, Fut>(
        &self,
        code: F,
        attributes: Attributes,
    ) -> Start<'_, V, <Fut::Output as ChildOutput<E>>::Value, E>
    where
        V: Send + 'static,
        F: FnOnce(Ready<V>) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: ChildOutput<E>,
        <Fut::Output as ChildOutput<E>>::Value: Send + 'static,
    {
        let slot = Slot::new();
        let ready = Ready { slot: Some(Arc::clone(&slot)) };
        self.start_future(async move { code(ready).await }, slot, attributes)
    }

    pub(crate) fn start_child_with<V, F, O>(&self, code: F, attributes: Attributes) -> Start<'_, V, O::Value, E>
    where
        V: Send + 'static,
        F: for<'a> StartFn<&'a Self, V, O> + Send + 'static,
        O: ChildOutput<E> + 'static,
        O::Value: Send + 'static,
    {
        let slot = Slot::new();
        let ready = Ready { slot: Some(Arc::clone(&slot)) };
        let scope = Self::of(Arc::clone(self.node()));
        let child = async move {
            let scope = scope;
            code(&scope, ready).await
        };
        self.start_future(child, slot, attributes)
    }

    fn start_future<V, F>(
        &self,
        future: F,
        slot: Arc<Slot<V>>,
        attributes: Attributes,
    ) -> Start<'_, V, <F::Output as ChildOutput<E>>::Value, E>
    where
        V: Send + 'static,
        F: Future + Send + 'static,
        F::Output: ChildOutput<E>,
        <F::Output as ChildOutput<E>>::Value: Send + 'static,
    {
        let mut attributes = attributes;
        match attributes.take_wrapping(self.node()) {
            None => self.start_task(future, slot, attributes),
            Some(wrapping) => self.start_task(wrapped::<F, E>(wrapping, future), slot, attributes),
        }
    }

    fn start_task<V, F>(
        &self,
        future: F,
        slot: Arc<Slot<V>>,
        attributes: Attributes,
    ) -> Start<'_, V, <F::Output as ChildOutput<E>>::Value, E>
    where
        V: Send + 'static,
        F: Future + Send + 'static,
        F::Output: ChildOutput<E>,
        <F::Output as ChildOutput<E>>::Value: Send + 'static,
    {
        let node = self.node();
        let Attributes { kind, place, .. } = attributes;
        let name = attributes.name.clone();
        // The handle is that of an isolated child whatever becomes of it: it may have a failure to claim.
        let handle = isolated(kind);
        let starting = Starting(Arc::clone(&slot) as Arc<dyn Readiness>);
        let Some((hold, id, seen)) = node.admit(&attributes) else {
            drop(starting);
            let child = Child::gone(self, handle, place, node.refuse(future, place));
            return Start { child: Some(child), name, slot };
        };
        node.expect_claim(id, handle);
        let task = if kind.daemon {
            drop(hold);
            let mut admitted = attributes.admitted(node, Ambient::Plain(Arc::clone(node)), id, seen);
            admitted.extra.get_or_insert_default().starting = Some(starting);
            start_task(future, admitted)
        } else {
            let mut admitted = attributes.admitted(node, Ambient::Counted(hold), id, seen);
            admitted.extra.get_or_insert_default().starting = Some(starting);
            start_task(future, admitted)
        };
        Start { child: Some(Child::task(self, id, handle, place, task)), name, slot }
    }
}

/// Waits until a child is ready; see [`Scope::start`].
///
/// Dropping it before it resolved stops the child.
#[must_use = "the child is stopped if the call is dropped before it resolved; `.await` it"]
pub struct Start<'n, V, T, E> {
    /// `None` once it has resolved.
    child: Option<Child<'n, T, E>>,
    name: Option<Name>,
    slot: Arc<Slot<V>>,
}

impl<'n, V, T, E: Send + 'static> Future for Start<'n, V, T, E> {
    type Output = Result<(V, Child<'n, T, E>), StartError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(child) = &mut this.child else { return Poll::Pending };
        let Poll::Ready(value) = this.slot.poll(cx) else {
            limit::awaits(child.node(), child.id);
            return Poll::Pending;
        };
        if let Some(value) = value {
            limit::awaits_no_more(child.node(), child.id);
            return Poll::Ready(Ok((value, this.child.take().expect("it was just there"))));
        }
        let error = match std::task::ready!(child.poll_end(cx)) {
            Ok(output) => {
                child.drop_output(Some(Ok(output)));
                StartError::Unsignalled(Unsignalled::new(child, this.name.take()))
            }
            Err(gone) => match fault::restore(std::task::ready!(child.poll_failure(&gone, cx))) {
                Failure::Error(error) => StartError::Error(error),
                Failure::Panic(panic) => StartError::Panic(panic),
                Failure::Cancelled(cancelled) => StartError::Cancelled(cancelled),
                // The failure of an isolated child goes to its handle; there was none but the scope's own end.
                _ => StartError::Cancelled(child.node().why(Reason::AwaitedChild)),
            },
        };
        this.child = None;
        Poll::Ready(Err(error))
    }
}

impl<V, T, E> Unpin for Start<'_, V, T, E> {}

impl<V, T, E> Drop for Start<'_, V, T, E> {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else { return };
        if !child.is_finished() {
            child.stop();
        }
        if let Some(panic) = drop_quietly(self.slot.abandon()) {
            child.node().own_failure(child.member(), panic);
        }
    }
}

impl<V, T, E> Debug for Start<'_, V, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("child", &self.child).finish()
    }
}

/// Why a child did not become ready; see [`Scope::start`].
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError<E> {
    /// It returned an error before it was ready.
    Error(E),
    /// It panicked before it was ready.
    Panic(Panic),
    /// It was cancelled before it was ready, with its scope or alone, or refused by a cancelled scope.
    Cancelled(Cancelled),
    /// It ended without saying that it was ready.
    Unsignalled(Unsignalled),
}

impl<E> StartError<E> {
    /// The error that a block can return with `?`: the child's own as it is, the notice of a cancellation turned into
    /// one.
    ///
    /// # Panics
    ///
    /// If the child panicked: goes on panicking with the original payload.
    pub fn into_error(self) -> E
    where
        E: ScopeError,
    {
        match self {
            Self::Error(error) => error,
            Self::Panic(panic) => panic.resume(),
            Self::Cancelled(cancelled) => E::from_cancelled(cancelled),
            Self::Unsignalled(unsignalled) => E::from_cancelled(unsignalled.notice),
        }
    }
}

impl<E: fmt::Display> fmt::Display for StartError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panic(panic) => fmt::Display::fmt(panic, f),
            Self::Cancelled(cancelled) => fmt::Display::fmt(cancelled, f),
            Self::Unsignalled(unsignalled) => fmt::Display::fmt(unsignalled, f),
        }
    }
}

impl<E: Error + 'static> Error for StartError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Error(error) => error.source(),
            Self::Cancelled(cancelled) => cancelled.source(),
            Self::Panic(_) | Self::Unsignalled(_) => None,
        }
    }
}

/// A child ended without saying that it was ready. Names it, and where it was started.
pub struct Unsignalled {
    member: Member,
    /// For those who need an error of their scope; says the same.
    notice: Cancelled,
}

impl Unsignalled {
    fn new<T, E>(child: &Child<'_, T, E>, name: Option<Name>) -> Self {
        let member = child.member().named(name);
        let request = CancelRequest::with_cause(Reason::AwaitedChild, unsignalled(&member).into());
        let notice = child.node().books().scope.notice(request);
        Self { member, notice }
    }

    /// The child.
    pub const fn member(&self) -> &Member {
        &self.member
    }
}

fn unsignalled(member: &Member) -> String {
    format!("{member} ended without signalling that it was ready")
}

impl fmt::Display for Unsignalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&unsignalled(&self.member))
    }
}

impl Debug for Unsignalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsignalled").field("child", &format_args!("{}", self.member)).finish_non_exhaustive()
    }
}

impl Error for Unsignalled {}

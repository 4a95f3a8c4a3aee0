//! Resources: acquired once, shared with children, released after the last of them.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use sc_core::{Failure, ScopeEnd};

use crate::child::{Attributes, FinalizerOutput, Join};
use crate::events::{self, Notice};
use crate::finalizer;
use crate::frame::{self, Dead};
use crate::scope::Scope;

impl<E: Debug + Send + 'static> Scope<E> {
    /// Acquires something that has to be given back, and sees to it that it is.
    ///
    /// `acquire` runs first; what it gives is leased to the body and, by [`Lease::share`], to children. `release` is a
    /// finalizer, as [`defer`](Self::defer) registers them: it runs when every child has ended, on every exit (value, error,
    /// panic, cancellation, deadline, drop), in the reverse of the order in which things were acquired and deferred. It
    /// has the time of `finalizer_timeout`, is told how the scope ended, and its failure neither keeps other finalizers from running
    /// nor masks an earlier one.
    ///
    /// It is given the resource itself, or [`Leaked`] if somebody still has a share (an output that left the scope,
    /// or something detached), which is reported as a `tracing` event, too.
    ///
    /// Against a `Drop` guard: a destructor cannot await, does not wait for the children that use the resource, and is not told how
    /// things ended. Use one where none of that matters. (ZIO's `acquireRelease` and Effect's scopes are the
    /// models; their acquisition cannot be interrupted either.)
    ///
    /// # Errors
    ///
    /// The error of `acquire`; nothing is released then. If the scope is cancelled before there is a resource, the code that
    /// awaits this ends as if it had awaited a cancelled child.
    ///
    /// # Panics
    ///
    /// Goes on with a panic of `acquire`.
    ///
    /// # Cancel safety
    ///
    /// `acquire` begins at the first poll, as a child of the scope that no cancellation stops before `finalizer_timeout` is
    /// over, and that no limit counts. So whether this future is dropped or the scope is cancelled half-way, the resource is either
    /// never made or released.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::{Cancelled, nursery};
    ///
    /// struct Connection;
    /// impl Connection {
    ///     async fn open() -> Result<Self, Cancelled> { Ok(Self) }
    ///     async fn query(&self) -> u32 { 7 }
    ///     async fn commit(self) {}
    ///     async fn roll_back(self) {}
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Cancelled> {
    /// let sum = nursery!(async |n| {
    ///     let connection = n
    ///         .resource(Connection::open(), async |connection, end| match connection {
    ///             Ok(connection) if end.is_ok() => connection.commit().await,
    ///             Ok(connection) => connection.roll_back().await,
    ///             Err(leaked) => eprintln!("{leaked}"),
    ///         })
    ///         .await?;
    ///     let shared = connection.share();
    ///     let child = n.spawn(async move { Ok(shared.query().await) });
    ///     Ok::<_, Cancelled>(connection.query().await + child.await)
    /// })
    /// .await?;
    /// assert_eq!(sum, 14);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A lease cannot leave the block (P2):
    ///
    /// ```compile_fail
    /// # use sc_tokio::{Cancelled, nursery};
    /// # async fn f() -> Result<(), Cancelled> {
    /// let escaped = nursery!(async |n| {
    ///     let lease = n.resource(async { Ok(1) }, async |_, _| {}).await?;
    ///     Ok::<_, Cancelled>(lease)
    /// })
    /// .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn resource<R, A, F, Fut>(&self, acquire: A, release: F) -> Acquire<'_, R, E, A, F>
    where
        R: Send + Sync + 'static,
        A: Future<Output = Result<R, E>> + Send + 'static,
        F: FnOnce(Result<R, Leaked<R>>, ScopeEnd) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: FinalizerOutput<E>,
    {
        Acquire {
            scope: self,
            place: Location::caller(),
            stage: Stage::Begin { code: Some((acquire, release)) },
            polls: 0,
        }
    }
}

enum Stage<'n, R, E, A, F> {
    Begin {
        code: Option<(A, F)>,
    },
    Acquiring {
        join: Join<'n, Arc<R>, E>,
    },
    /// The frame that awaits us is about to end.
    Dead,
}

pin_project! {
    /// Waits for a resource; made by [`Scope::resource`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct Acquire<'n, R, E, A, F> {
        scope: &'n Scope<E>,
        place: &'static Location<'static>,
        stage: Stage<'n, R, E, A, F>,
        polls: u8,
    }
}

impl<'n, R, E, A, F, Fut> Future for Acquire<'n, R, E, A, F>
where
    E: Debug + Send + 'static,
    R: Send + Sync + 'static,
    A: Future<Output = Result<R, E>> + Send + 'static,
    F: FnOnce(Result<R, Leaked<R>>, ScopeEnd) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: FinalizerOutput<E>,
{
    type Output = Result<Lease<'n, R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Stage::Begin { code } = this.stage {
            let (acquire, release) = code.take().expect("the stage goes on with the code");
            *this.stage = Stage::Acquiring { join: begin(this.scope, acquire, release, this.place) };
        }
        if let Stage::Acquiring { join } = this.stage {
            match std::task::ready!(Pin::new(join).poll(cx)) {
                Ok(shared) => return Poll::Ready(Ok(Lease { shared, scope: PhantomData })),
                Err(Failure::Error(error)) => return Poll::Ready(Err(error)),
                Err(Failure::Panic(panic)) => panic.resume(),
                Err(_) => *this.stage = Stage::Dead,
            }
        }
        let _ = frame::mark_dead(Dead { failure: None });
        crate::child::stay_dead(this.polls, cx)
    }
}

/// Starts the child that acquires the resource and registers its release in the same breath.
fn begin<'n, R, E, A, F, Fut>(
    scope: &'n Scope<E>,
    acquire: A,
    release: F,
    place: &'static Location<'static>,
) -> Join<'n, Arc<R>, E>
where
    E: Debug + Send + 'static,
    R: Send + Sync + 'static,
    A: Future<Output = Result<R, E>> + Send + 'static,
    F: FnOnce(Result<R, Leaked<R>>, ScopeEnd) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: FinalizerOutput<E>,
{
    let node = Arc::clone(scope.node());
    let limit = node.books().finalizer_timeout;
    let code = async move {
        let shared = Arc::new(acquire.await?);
        let leased = Arc::clone(&shared);
        let origin = node.origin().clone();
        let finalizer = move |end: ScopeEnd| {
            let resource = Arc::try_unwrap(shared).map_err(|shared| Leaked { shared });
            if resource.is_err() {
                let what = std::any::type_name::<R>();
                events::say(&Notice::Leaked { origin, what, place });
            }
            release(resource, end)
        };
        finalizer::register::<_, Fut, E>(&node, finalizer, place);
        Ok(leased)
    };
    let mut attributes = Attributes::at(place);
    attributes.kind.isolated = true;
    attributes.set_shielded(limit);
    attributes.set_seatless();
    scope.spawn_child(crate::shield::whole(limit, code, place), attributes).join()
}

impl<R, E, A, F> Debug for Acquire<'_, R, E, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("place", &format_args!("{}", self.place)).finish_non_exhaustive()
    }
}

/// A resource of a scope, for as long as the block runs; made by [`Scope::resource`].
///
/// It derefs to the resource. Children are `'static` and cannot hold a lease; they are given a [`share`](Self::share).
pub struct Lease<'n, R> {
    shared: Arc<R>,
    scope: PhantomData<&'n ()>,
}

impl<R> Lease<'_, R> {
    /// A share for a child. One that is still alive when the resource is to be released makes it [`Leaked`].
    pub fn share(&self) -> Arc<R> {
        Arc::clone(&self.shared)
    }
}

impl<R> Clone for Lease<'_, R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), scope: PhantomData }
    }
}

impl<R> Deref for Lease<'_, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.shared
    }
}

impl<R> AsRef<R> for Lease<'_, R> {
    fn as_ref(&self) -> &R {
        self
    }
}

impl<R: Debug> Debug for Lease<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&**self).finish()
    }
}

/// A resource that is to be released while somebody still has a share of it; see [`Scope::resource`].
///
/// It derefs to the resource, so that what can be done by reference still can.
pub struct Leaked<R> {
    shared: Arc<R>,
}

impl<R> Leaked<R> {
    /// The share that is left to the release.
    pub fn into_shared(self) -> Arc<R> {
        self.shared
    }

    /// The resource, if the last other share has gone meanwhile.
    ///
    /// # Errors
    ///
    /// Itself, if there still is one.
    pub fn try_into_inner(self) -> Result<R, Self> {
        Arc::try_unwrap(self.shared).map_err(|shared| Self { shared })
    }

    /// How many shares others have.
    pub fn others(&self) -> usize {
        Arc::strong_count(&self.shared) - 1
    }
}

impl<R> Deref for Leaked<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.shared
    }
}

impl<R> fmt::Display for Leaked<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, others) = (std::any::type_name::<R>(), self.others());
        write!(f, "a resource ({what}) is released while {others} shares of it are alive outside its scope")
    }
}

impl<R> Debug for Leaked<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaked").field("others", &self.others()).finish_non_exhaustive()
    }
}

//! A fuse: the n-th callback of the user's that it is built into panics.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll, Wake, Waker};

use sc_tokio::{Cancelled, Failure};

use crate::support::{Guard, Live, unique};

/// See the module.
#[derive(Clone)]
pub(crate) struct Fuse(Arc<Inner>);

struct Inner {
    left: AtomicIsize,
    text: String,
    fired: Mutex<Option<&'static str>>,
    joined: AtomicUsize,
    live: Live,
}

impl Fuse {
    /// Fires at the callback number `n`, counted from zero.
    pub(crate) fn new(n: usize) -> Self {
        quiet();
        let left = AtomicIsize::new(isize::try_from(n).expect("few callbacks"));
        let (fired, joined, live) = (Mutex::default(), AtomicUsize::new(0), Live::default());
        Self(Arc::new(Inner { left, text: unique("injected"), fired, joined, live }))
    }

    /// A callback of the user's.
    pub(crate) fn spark(&self, place: &'static str) {
        if self.0.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            *self.0.fired.lock().unwrap() = Some(place);
            panic!("{}", self.text());
        }
    }

    pub(crate) fn fired(&self) -> Option<&'static str> {
        *self.0.fired.lock().unwrap()
    }

    /// The panic's message, which occurs nowhere else.
    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    /// What a handle was given.
    pub(crate) fn take<T>(&self, joined: Result<T, Failure<Oops>>) {
        if let Err(Failure::Panic(panic)) = &joined {
            let injected = panic.message() == Some(self.text());
            self.0.joined.fetch_add(usize::from(injected), Ordering::SeqCst);
        }
        drop(joined);
    }

    /// An outcome held the panic so often.
    pub(crate) fn joined_more(&self, times: usize) {
        self.0.joined.fetch_add(times, Ordering::SeqCst);
    }

    /// How often a handle was given the panic.
    pub(crate) fn joined(&self) -> usize {
        self.0.joined.load(Ordering::SeqCst)
    }

    pub(crate) fn live(&self) -> &Live {
        &self.0.live
    }

    /// Is a callback when it is dropped.
    pub(crate) fn bomb(&self, place: &'static str) -> Bomb {
        Bomb { fuse: self.clone(), place, _guard: self.0.live.guard() }
    }

    pub(crate) fn oops(&self) -> Oops {
        Oops { bomb: self.bomb("error") }
    }

    pub(crate) fn why(&self) -> Why {
        Why { bomb: self.bomb("why") }
    }

    /// The same, and only its destructor is a callback.
    pub(crate) fn why_quiet(&self) -> Why {
        Why { bomb: self.bomb("why, quiet") }
    }
}

/// A value whose destructor is a callback.
pub(crate) struct Bomb {
    fuse: Fuse,
    place: &'static str,
    _guard: Guard,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.fuse.spark(self.place);
    }
}

/// An error whose destructor and `Debug` are callbacks.
pub(crate) struct Oops {
    bomb: Bomb,
}

impl fmt::Debug for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bomb.fuse.spark("debug");
        f.write_str("oops")
    }
}

/// What a canceller says; all it does is a callback.
pub(crate) struct Why {
    bomb: Bomb,
}

impl fmt::Debug for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bomb.place == "why" {
            self.bomb.fuse.spark("why, displayed");
        }
        f.write_str("because")
    }
}

impl std::error::Error for Why {}

/// Makes the error of a cancelled scope; a callback.
pub(crate) fn convert(fuse: &Fuse) -> impl FnOnce(Cancelled) -> Oops + Send + use<> {
    let fuse = fuse.clone();
    move |_| {
        fuse.spark("map_cancelled");
        fuse.oops()
    }
}

/// A waker that passes the wake-up on and then is a callback, and another one when it goes.
struct Faulty {
    inner: Waker,
    bomb: Bomb,
}

impl Wake for Faulty {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.inner.wake_by_ref();
        self.bomb.fuse.spark("waker");
    }
}

/// Polls a future at most so many times, perhaps with wakers that are callbacks. `None`: dropped
/// half-way. `Err`: it panicked.
pub(crate) async fn poll_for<F: Future>(
    polls: usize,
    faulty_wakers: Option<&Fuse>,
    future: F,
) -> Option<Result<F::Output, Box<dyn Any + Send>>> {
    let mut future = Some(Box::pin(future));
    let mut polls = polls;
    let ended = poll_fn(|cx| {
        let Some(inside) = future.as_mut() else { return Poll::Ready(None) };
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        let waker = match faulty_wakers {
            Some(fuse) => Waker::from(Arc::new(Faulty { inner: cx.waker().clone(), bomb: fuse.bomb("waker") })),
            None => cx.waker().clone(),
        };
        let polled = caught(|| inside.as_mut().poll(&mut Context::from_waker(&waker)));
        let polled = match caught(|| drop(waker)) {
            Ok(()) => polled,
            Err(payload) => polled.and(Err(payload)),
        };
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Some(Ok(output))),
            Err(payload) => Poll::Ready(Some(Err(payload))),
        }
    })
    .await;
    match caught(|| drop(future.take())) {
        Ok(()) => ended,
        Err(payload) => Some(Err(payload)),
    }
}

/// Runs something that may panic.
pub(crate) fn caught<R>(code: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code))
}

/// A future whose polls are callbacks, and which ends (or waits for ever) after some of them.
pub(crate) struct Steps {
    fuse: Fuse,
    left: usize,
    ends: bool,
    place: &'static str,
    _bomb: Bomb,
}

impl Fuse {
    /// A future with so many awaits. Its destructor is a callback too.
    pub(crate) fn steps(&self, place: &'static str, count: usize) -> Steps {
        Steps { fuse: self.clone(), left: count, ends: true, place, _bomb: self.bomb(place) }
    }

    /// A future that does not end.
    pub(crate) fn endless(&self, place: &'static str) -> Steps {
        Steps { ends: false, ..self.steps(place, 2) }
    }
}

impl Future for Steps {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.fuse.spark(self.place);
        if self.left == 0 {
            return if self.ends { Poll::Ready(()) } else { Poll::Pending };
        }
        self.left -= 1;
        // Through Tokio, so that others run first.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
        Poll::Pending
    }
}

/// Keeps the injected panics off standard error; there are thousands.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let injected = info.payload().downcast_ref::<String>().is_some_and(|text| text.contains("injected <"));
            if !injected {
                hook(info);
            }
        }));
    });
}

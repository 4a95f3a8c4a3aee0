//! What the fault tests share: a watchdog, both flavours of the runtime, counters, gates, a log of
//! what the failure hook was told.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How long a test may take before it counts as hung.
const LIMIT: Duration = Duration::from_secs(30);
/// The same for virtual time, which runs ahead as soon as everybody waits.
const VIRTUAL_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs a test on a thread of its own, so that one which hangs fails and lets the others run.
#[track_caller]
pub(crate) fn watched(test: impl FnOnce() + Send + 'static) {
    let place = Location::caller();
    read_events();
    let (done, ended) = mpsc::channel::<()>();
    let run = move || {
        let _done = done;
        test();
    };
    let thread = std::thread::Builder::new().spawn(run).expect("a thread for the test");
    let hangs = ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
    assert!(!hangs, "the test at {place} hangs");
    if let Err(payload) = thread.join() {
        std::panic::resume_unwind(payload);
    }
}

/// Reads every event, and keeps the errors: texts are made as for a real subscriber. It is set before the
/// first event, since a call site that sees its first event while another subscriber comes may stay
/// silent for ever.
struct Reader(Option<String>);

static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How often an event at error level said this.
pub(crate) fn said(text: &str) -> usize {
    SAID.lock().expect("no panic in here").iter().filter(|event| event.contains(text)).count()
}

fn read_events() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Reader(None)).expect("nobody else sets one"));
}

impl tracing::field::Visit for Reader {
    fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0 = Some(format!("{value:?}"));
    }
}

impl tracing::Subscriber for Reader {
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut reader = Self(None);
        event.record(&mut reader);
        if *event.metadata().level() == tracing::Level::ERROR {
            SAID.lock().expect("no panic in here").extend(reader.0);
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Runs a test on one thread in virtual time. If everybody waits for ever, virtual time runs out.
#[track_caller]
pub(crate) fn paused<F, Fut>(test: F)
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    watched(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            tokio::time::timeout(VIRTUAL_LIMIT, test()).await.expect("the test hangs: everybody waits for ever");
        });
    });
}

/// Runs a test on two worker threads, as a task on one of them.
#[track_caller]
pub(crate) fn parallel<F, Fut>(test: F)
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    watched(move || {
        let runtime = two_workers();
        runtime.block_on(async { tokio::spawn(test()).await.expect("the test's own task") });
    });
}

/// A runtime with two workers.
pub(crate) fn two_workers() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// A runtime with one thread, on the real clock.
pub(crate) fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Counts values that are alive.
#[derive(Clone, Default)]
pub(crate) struct Live(Arc<AtomicUsize>);

/// One of them.
pub(crate) struct Guard(Arc<AtomicUsize>);

impl Live {
    pub(crate) fn guard(&self) -> Guard {
        self.0.fetch_add(1, Ordering::SeqCst);
        Guard(Arc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs a closure when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(action: F) -> Self {
        Self(Some(action))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(action) = self.0.take() {
            action();
        }
    }
}

/// Holds up threads until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().expect("no panic in here") = true;
        self.0.1.notify_all();
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.0.0.lock().expect("no panic in here")
    }

    /// Blocks the thread.
    pub(crate) fn pass(&self) {
        let mut open = self.0.0.lock().expect("no panic in here");
        while !*open {
            open = self.0.1.wait(open).expect("no panic in here");
        }
    }
}

/// Lets every other task run until nothing moves on a single thread.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Polls once, with a waker that does nothing.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Yields until the condition holds. For real threads; the watchdog bounds it.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Has the failure hook write down what it is told. One hook for the whole process: tests tell
/// their failures apart by [`unique`] texts.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        sc_tokio::set_failure_hook(|failure| {
            TOLD.lock().expect("no panic in here").push(failure.message.clone());
            assert!(!failure.message.contains("hook panics"), "a hook may panic");
        });
    });
}

/// How often the hook was told a failure with this text.
pub(crate) fn told(text: &str) -> usize {
    TOLD.lock().expect("no panic in here").iter().filter(|message| message.contains(text)).count()
}

/// A text that occurs nowhere else.
pub(crate) fn unique(text: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{text} <{}>", NEXT.fetch_add(1, Ordering::SeqCst))
}

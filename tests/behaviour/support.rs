//! What the behaviour tests share: runtimes of both flavours, a watchdog, drop guards, a log.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How long a test on real threads may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on both flavours of the runtime. A test that hangs ends the process with its name.
#[track_caller]
pub(crate) fn both_flavours<F, Fut>(test: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let _watchdog = Watchdog::start();
    let current = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    current.block_on(test());
    drop(current);
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    multi.block_on(async { tokio::spawn(test()).await.expect("the test's own task") });
}

/// The failure hook is one for the process: a test that sets it has it to itself while it holds this.
pub(crate) fn the_hook() -> MutexGuard<'static, ()> {
    static HOOK: Mutex<()> = Mutex::new(());
    HOOK.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Gives the failures whose text contains `tag` and that reached nobody but the hook during the test.
pub(crate) fn hooked(tag: &'static str, test: impl FnOnce()) -> Vec<String> {
    let _mine = the_hook();
    let log = Log::new();
    let told = log.clone();
    sc_tokio::set_failure_hook(move |failure| {
        if failure.message.contains(tag) {
            told.add(failure.to_string());
        }
    });
    test();
    sc_tokio::reset_failure_hook();
    log.entries()
}

/// More of it under valgrind: `SC_PATIENCE` says how many times as much.
fn patience() -> Duration {
    let times = std::env::var("SC_PATIENCE").ok().and_then(|times| times.parse().ok());
    PATIENCE * times.unwrap_or(1)
}

/// Ends the process if it is not dropped in time.
pub(crate) struct Watchdog(Arc<AtomicBool>);

impl Watchdog {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (watched, place) = (Arc::clone(&done), std::panic::Location::caller());
        std::thread::spawn(move || {
            let patience = patience();
            std::thread::park_timeout(patience);
            let started = std::time::Instant::now();
            while !watched.load(Ordering::SeqCst) {
                if started.elapsed() > patience {
                    eprintln!("the test at {place} hangs");
                    std::process::abort();
                }
                std::thread::park_timeout(patience);
            }
        });
        Self(done)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Counts values that live.
#[derive(Clone, Default)]
pub(crate) struct Live(Arc<AtomicUsize>);

/// One of them.
pub(crate) struct Alive(Arc<AtomicUsize>);

impl Live {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn one(&self) -> Alive {
        self.0.fetch_add(1, Ordering::SeqCst);
        Alive(Arc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Writes an entry when it is dropped.
    pub(crate) fn on_drop(&self, entry: &'static str) -> OnDrop {
        OnDrop(self.clone(), entry)
    }
}

pub(crate) struct OnDrop(Log, &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

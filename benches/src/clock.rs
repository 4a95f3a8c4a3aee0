//! What a sample is measured with.
//!
//! On a current-thread runtime a sample is what one thread does, so its own processor time is the measure: what other
//! programs take away meanwhile is not in it. With several threads it is not known who waits for whom, and only the time
//! on the wall says how long it took.

use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

/// Measures from its start.
#[derive(Debug, Clone, Copy)]
pub enum Stopwatch {
    /// By the thread's processor time.
    Thread(Duration),
    /// By the time on the wall.
    Wall(Instant),
}

impl Stopwatch {
    /// Begins, with what suits the runtime that this is called on.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[must_use]
    pub fn start() -> Self {
        let alone = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        thread_time().filter(|_| alone).map_or_else(|| Self::Wall(Instant::now()), Self::Thread)
    }

    /// How long it has been.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        match self {
            Self::Thread(started) => thread_time().unwrap_or_default().saturating_sub(started),
            Self::Wall(started) => started.elapsed(),
        }
    }
}

#[cfg(target_os = "linux")]
fn thread_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(target_os = "linux"))]
fn thread_time() -> Option<Duration> {
    None
}

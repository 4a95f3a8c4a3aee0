//! Counts what a session starts and what of it has ended, to show that nothing is left.
//!
//! No program needs this: it is the library's promise (P1). Here it is watched.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) tasks: Gauge,
    pub(crate) processes: Gauge,
}

/// How many began, and how many are still there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauge(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicUsize,
    alive: AtomicUsize,
}

impl Gauge {
    pub(crate) fn begin(&self) {
        self.0.begun.fetch_add(1, SeqCst);
        self.0.alive.fetch_add(1, SeqCst);
    }

    pub(crate) fn end(&self) {
        self.0.alive.fetch_sub(1, SeqCst);
    }

    /// To be moved into a task: ends with it, however it does.
    pub(crate) fn enter(&self) -> Alive {
        self.begin();
        Alive(self.clone())
    }
}

#[derive(Debug)]
pub(crate) struct Alive(Gauge);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.0.alive.load(SeqCst), self.0.begun.load(SeqCst))
    }
}

//! What happened, counted: tasks that live, how scopes ended, what must not happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sc_tokio::{Outcome, OutcomeKind};

/// The counters of the process.
pub(crate) static TALLY: Tally = Tally::new();

/// How a scope can end.
pub(crate) const KINDS: [&str; 7] = ["ok", "partial", "failed", "cancelled", "deadline", "dropped", "other"];
const DROPPED: usize = 5;

pub(crate) struct Tally {
    started: AtomicU64,
    ended: AtomicU64,
    peak: AtomicU64,
    kinds: [AtomicU64; KINDS.len()],
    slowest_micros: AtomicU64,
    stall_micros: AtomicU64,
    pub(crate) cancellations: AtomicU64,
    pub(crate) trees: AtomicU64,
    /// Failures that the failure hook was told.
    pub(crate) unhandled: AtomicU64,
    /// Trees whose scope resolved before everything in it had ended.
    pub(crate) early: AtomicU64,
    /// Panics that nobody here asked for.
    pub(crate) unexpected: AtomicU64,
}

impl Tally {
    const fn new() -> Self {
        Self {
            started: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            kinds: [const { AtomicU64::new(0) }; KINDS.len()],
            slowest_micros: AtomicU64::new(0),
            stall_micros: AtomicU64::new(0),
            cancellations: AtomicU64::new(0),
            trees: AtomicU64::new(0),
            unhandled: AtomicU64::new(0),
            early: AtomicU64::new(0),
            unexpected: AtomicU64::new(0),
        }
    }

    pub(crate) fn started(&self) -> u64 {
        self.started.load(Ordering::SeqCst)
    }

    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    pub(crate) fn live(&self) -> u64 {
        // In this order: what starts in between must not look like a task that ended twice.
        let ended = self.ended();
        self.started() - ended
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::SeqCst)
    }

    pub(crate) fn slowest(&self) -> Duration {
        Duration::from_micros(self.slowest_micros.load(Ordering::SeqCst))
    }

    /// A thread that only slept was woken so much too late: what the machine adds to every other time.
    pub(crate) fn stalled(&self, late: Duration) {
        self.stall_micros.fetch_max(micros(late), Ordering::SeqCst);
    }

    pub(crate) fn longest_stall(&self) -> Duration {
        Duration::from_micros(self.stall_micros.load(Ordering::SeqCst))
    }

    pub(crate) fn scopes(&self) -> u64 {
        self.kinds().iter().sum()
    }

    pub(crate) fn kinds(&self) -> [u64; KINDS.len()] {
        std::array::from_fn(|kind| self.kinds[kind].load(Ordering::SeqCst))
    }

    /// Notes how a scope ended; if nothing in it may take its time, also how long it took to stop.
    pub(crate) fn outcome<T, E>(&self, outcome: &Outcome<T, E>, prompt: bool) {
        let kind = match outcome.kind() {
            OutcomeKind::Ok => 0,
            OutcomeKind::Partial => 1,
            OutcomeKind::Failed => 2,
            OutcomeKind::Cancelled => 3,
            OutcomeKind::DeadlineExceeded => 4,
            _ => 6,
        };
        self.kinds[kind].fetch_add(1, Ordering::SeqCst);
        if let Some(drained) = outcome.report().drained_in.filter(|_| prompt) {
            self.cancellations.fetch_add(1, Ordering::SeqCst);
            self.slowest_micros.fetch_max(micros(drained), Ordering::SeqCst);
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What of one tree lives.
#[derive(Clone, Default)]
pub(crate) struct Population(Arc<AtomicU64>);

impl Population {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// A task, from the moment at which it is made: its captures are what has to be dropped.
    pub(crate) fn one(&self) -> Alive {
        TALLY.started.fetch_add(1, Ordering::SeqCst);
        TALLY.peak.fetch_max(TALLY.live(), Ordering::SeqCst);
        self.0.fetch_add(1, Ordering::SeqCst);
        Alive(Arc::clone(&self.0))
    }
}

pub(crate) struct Alive(Arc<AtomicU64>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        TALLY.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// A scope whose future is alive; one that is dropped before it resolved is counted as such.
pub(crate) struct Open(AtomicBool);

impl Open {
    pub(crate) const fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    pub(crate) fn closed(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.load(Ordering::SeqCst) {
            TALLY.kinds[DROPPED].fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The memory that the process holds, in kilobytes; `None` where the system does not tell.
pub(crate) fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4)
}

//! A clock that stands still until the test moves it.
//!
//! Shuttle's own timers expire at their first poll, which turns a parked driver into a spinning one
//! and hides every wake-up it missed. Here a timer fires when [`advance`] has passed it, so that the
//! passing of a deadline is one more event to interleave.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant as StdInstant};

use super::preempt;

/// An arbitrary beginning; only differences matter.
static BEGINNING: LazyLock<StdInstant> = LazyLock::new(StdInstant::now);

#[derive(Default)]
struct Clock {
    passed: Duration,
    next_key: u64,
    sleeping: BTreeMap<u64, (Instant, Waker)>,
}

// `std`'s, since Shuttle runs all tasks of one exploration on one thread, and tests on several.
std::thread_local! {
    static CLOCK: RefCell<Clock> = RefCell::default();
}

/// Sets the clock back.
pub(super) fn reset() {
    CLOCK.set(Clock::default());
}

/// Lets time pass, and wakes those whose time has come.
pub fn advance(by: Duration) {
    preempt();
    let due: Vec<Waker> = CLOCK.with_borrow_mut(|clock| {
        clock.passed += by;
        let now = Instant(*BEGINNING + clock.passed);
        let due: Vec<u64> = clock.sleeping.iter().filter(|(_, (at, _))| *at <= now).map(|(key, _)| *key).collect();
        due.iter().filter_map(|key| clock.sleeping.remove(key)).map(|(_, waker)| waker).collect()
    });
    due.into_iter().for_each(Waker::wake);
}

/// What stands in the place of `tokio::time::Instant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(StdInstant);

impl Instant {
    /// Where the clock stands.
    pub fn now() -> Self {
        Self(CLOCK.with_borrow(|clock| *BEGINNING + clock.passed))
    }

    /// A point in the time of `sc-core`.
    pub const fn from_std(at: StdInstant) -> Self {
        Self(at)
    }

    /// Back to that.
    pub const fn into_std(self) -> StdInstant {
        self.0
    }

    /// Later, unless too late.
    pub fn checked_add(self, by: Duration) -> Option<Self> {
        self.0.checked_add(by).map(Self)
    }

    /// How much later than `earlier`, unless it is before.
    pub fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_duration_since(earlier.0)
    }

    /// How much later than `earlier`, or nothing.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0 + by)
    }
}

/// Waits until the test has moved the clock so far.
#[derive(Debug)]
pub(crate) struct Sleep {
    until: Instant,
    key: Option<u64>,
}

pub(crate) fn sleep_until(until: Instant) -> Sleep {
    Sleep { until, key: None }
}

impl Sleep {
    pub(crate) fn reset(mut self: Pin<&mut Self>, until: Instant) {
        self.leave();
        self.until = until;
    }

    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            CLOCK.with_borrow_mut(|clock| clock.sleeping.remove(&key));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.leave();
        if self.until <= Instant::now() {
            return Poll::Ready(());
        }
        self.key = CLOCK.with_borrow_mut(|clock| {
            clock.next_key += 1;
            clock.sleeping.insert(clock.next_key, (self.until, cx.waker().clone()));
            Some(clock.next_key)
        });
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.leave();
    }
}

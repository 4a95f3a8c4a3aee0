//! Children with a grace of their own (P9).
//!
//! Everybody else has the scope's, which the scope times itself. Those few are listed here from their admission to their
//! end, so that the scope's cancellation and `cancel_children` find how long each may go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::rt::Instant;

/// See the module. Boxed, since most scopes have none.
#[derive(Debug, Default)]
pub(crate) struct Graces(Option<Box<Listed>>);

#[derive(Debug, Default)]
struct Listed {
    children: BTreeMap<u64, Grace>,
    /// When they end that end by themselves.
    timers: BTreeSet<(Instant, u64)>,
}

#[derive(Debug)]
struct Grace {
    length: Duration,
    /// The scope's cancellation is not a daemon's: it has its turn later, and `sc-core` times that.
    daemon: bool,
    /// Set by the scope's cancellation.
    ends: Option<Ends>,
}

/// When a grace ends that has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ends {
    Never,
    At(Instant),
    Ended(Instant),
}

impl Graces {
    /// Lists a child; `cancelled_at` is when the scope was cancelled, if it was meanwhile.
    pub(crate) fn enter(&mut self, id: u64, length: Duration, daemon: bool, cancelled_at: Option<Instant>) {
        let listed = self.0.get_or_insert_default();
        let mut grace = Grace { length, daemon, ends: None };
        if let Some(at) = cancelled_at {
            grace.begin(id, at, &mut listed.timers);
        }
        listed.children.insert(id, grace);
        if let Some(at) = cancelled_at {
            self.tick(at);
        }
    }

    pub(crate) fn ended(&mut self, id: u64) {
        let Some(listed) = &mut self.0 else { return };
        if let Some(Grace { ends: Some(Ends::At(at)), .. }) = listed.children.remove(&id) {
            listed.timers.remove(&(at, id));
        }
    }

    /// The scope is cancelled. Whether somebody has to stop at once.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let Some(listed) = &mut self.0 else { return false };
        let Listed { children, timers } = &mut **listed;
        for (id, grace) in children {
            grace.begin(*id, now, timers);
        }
        self.tick(now)
    }

    /// How long a child may go on that has a grace of its own.
    pub(crate) fn length(&self, id: u64) -> Option<Duration> {
        Some(self.of(id)?.length)
    }

    /// Those with a smaller number than this, or the daemons among them.
    pub(crate) fn below(&self, below: u64, only_daemons: bool) -> Vec<(u64, Duration)> {
        let children = self.0.iter().flat_map(|listed| listed.children.range(..below));
        let children = children.filter(|(_, grace)| grace.daemon || !only_daemons);
        children.map(|(id, grace)| (*id, grace.length)).collect()
    }

    /// When the scope's cancellation drops it, if that is not when the scope's grace ends.
    pub(crate) fn ends(&self, id: u64) -> Option<Ends> {
        self.of(id)?.ends
    }

    /// Whether the scope's cancellation drops it now, if that is not for the scope's grace to say.
    pub(crate) fn is_due(&self, id: u64) -> Option<bool> {
        Some(matches!(self.of(id)?.ends?, Ends::Ended(_)))
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        Some(self.0.as_ref()?.timers.first()?.0)
    }

    /// Marks what is due. Whether anybody is.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        let Some(listed) = &mut self.0 else { return false };
        let mut due = false;
        while let Some((at, id)) = listed.timers.first().copied().filter(|(at, _)| *at <= now) {
            listed.timers.pop_first();
            if let Some(grace) = listed.children.get_mut(&id) {
                grace.ends = Some(Ends::Ended(at));
                due = true;
            }
        }
        due
    }

    /// Ends every grace that somebody would have had to time.
    pub(crate) fn expire(&mut self) {
        if let Some((last, _)) = self.0.as_ref().and_then(|listed| listed.timers.last().copied()) {
            self.tick(last);
        }
    }

    fn of(&self, id: u64) -> Option<&Grace> {
        self.0.as_ref()?.children.get(&id)
    }
}

impl Ends {
    pub(crate) const fn at(self) -> Option<Instant> {
        match self {
            Self::Never => None,
            Self::At(at) | Self::Ended(at) => Some(at),
        }
    }
}

impl Grace {
    fn begin(&mut self, id: u64, cancelled_at: Instant, timers: &mut BTreeSet<(Instant, u64)>) {
        if self.daemon || self.ends.is_some() {
            return;
        }
        self.ends = Some(match cancelled_at.checked_add(self.length) {
            None => Ends::Never,
            Some(at) => {
                timers.insert((at, id));
                Ends::At(at)
            }
        });
    }
}

#[cfg(all(test, not(sc_shuttle)))]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use crate::scope;

    #[tokio::test(start_paused = true)]
    async fn children_that_ended_are_off_the_list_whatever_ended_them() {
        let ended = scope(async |s| {
            let task = || s.task().grace(Duration::from_secs(9));
            task().spawn(async { Ok(()) }).await;
            task().daemon().spawn(async { Ok(()) }).await;
            assert!(task().isolated().spawn(async { Err::<(), _>("an error") }).join().await.is_err());
            let stopped = task().spawn(std::future::pending::<()>());
            tokio::task::yield_now().await;
            assert_eq!(s.node().books().graces.below(u64::MAX, false).len(), 1);
            s.cancel_children("stop");
            let _ = stopped.join().await;
            assert!(s.node().books().graces.below(u64::MAX, false).is_empty());
            assert!(s.node().books().stops.next().is_none(), "with their stops");
            task().spawn(sleep(Duration::from_secs(1)));
            s.cancel("the scope");
            assert!(s.node().books().graces.next().is_some());
            sleep(Duration::from_secs(2)).await;
            assert!(s.node().books().graces.next().is_none());
            Ok::<_, &str>(())
        })
        .grace(Duration::from_secs(5));
        ended.outcome().await.into_value().expect("the body ran to its end");
    }
}

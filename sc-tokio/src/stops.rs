//! Children stopped from inside: by their own handle, or with all who are present.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sc_core::{CancelRequest, Cancelled, Reason};

use crate::books::Books;
use crate::lazy::Lazy;
use crate::node::Node;
use crate::rt::{AbortHandle, Instant};
use crate::shield::Shielded;

/// A child that was told to stop, alone.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) cancelled: Cancelled,
    pub(crate) since: Instant,
    /// When its grace ends; `None`: never.
    pub(crate) at: Option<Instant>,
    pub(crate) due: bool,
    /// The task of a parallel child.
    pub(crate) task: Option<AbortHandle>,
    /// Aborting the task is what makes the child notice; otherwise it looks when it is woken.
    pub(crate) aborts: bool,
    /// The task is aborted, or is about to be: from here on it is dropped at its next await, whatever that is.
    pub(crate) aborted: bool,
}

/// The children that were present at one `cancel_children`.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Children with a smaller number were present.
    below: u64,
    /// The others had been told by the scope's cancellation, and the first reason wins (P6), with its instant (P9).
    only_daemons: bool,
    /// The daemon whose turn to stop had come: it has its instant (P9).
    except: Option<u64>,
    cancelled: Cancelled,
    since: Instant,
    at: Option<Instant>,
    due: bool,
}

impl Batch {
    fn tells(&self, id: u64, is_daemon: bool) -> bool {
        id < self.below && (is_daemon || !self.only_daemons) && self.except != Some(id)
    }
}

/// How many cancellations of all present children are told apart.
const BATCHES_KEPT: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Stops(Lazy<Stopped>);

#[derive(Debug, Default)]
struct Stopped {
    single: BTreeMap<u64, Stop>,
    batches: Vec<Batch>,
    sweep_at: usize,
}

/// What a child has been told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) cancelled: Cancelled,
    pub(crate) since: Instant,
    /// The grace is over: drop at the next await.
    pub(crate) due: bool,
    /// When it is; `None`: never.
    pub(crate) at: Option<Instant>,
}

impl Stops {
    /// The first to tell it wins (P6). Gives back whether its grace is over, and what is to be dropped without the lock.
    pub(crate) fn one(&mut self, id: u64, mut stop: Stop) -> (bool, Option<Stop>) {
        let Stopped { single, batches, sweep_at } = self.0.make();
        if let Some(earlier) = single.get_mut(&id) {
            if earlier.task.is_none() {
                earlier.task = stop.task.take();
            }
            return (earlier.due, Some(stop));
        }
        if let Some(batch) = batches.iter().find(|batch| batch.tells(id, false)) {
            return (batch.due, Some(stop));
        }
        // An entry goes with its child's exit. The rare one that came too late for that is swept,
        // in proportion to what is there (P11).
        if single.len() >= (*sweep_at).max(16) {
            single.retain(|_, stop| !stop.task.as_ref().is_some_and(AbortHandle::is_finished));
            *sweep_at = single.len() * 2;
        }
        let due = stop.due;
        single.insert(id, stop);
        (due, None)
    }

    /// Gives back what is to be dropped without the lock: the causes are the user's.
    fn all_below(
        &mut self,
        (below, only_daemons, except): (u64, bool, Option<u64>),
        cancelled: Cancelled,
        since: Instant,
        grace: Duration,
    ) -> Option<Batch> {
        let (at, due) = (since.checked_add(grace), grace.is_zero());
        let batch = Batch { below, only_daemons, except, cancelled, since, at, due };
        let Stopped { batches, .. } = self.0.make();
        if batches.last().is_some_and(|last| last.below == below && last.only_daemons <= only_daemons) {
            // Nobody came since: they have been told, and the first reason wins (P6).
            return Some(batch);
        }
        batches.push(batch);
        // Later ones cover those of earlier ones, with another reason; that is what bounds the list.
        (batches.len() > BATCHES_KEPT).then(|| batches.remove(0))
    }

    pub(crate) fn told(&self, id: u64, is_daemon: bool) -> Option<Told> {
        let Stopped { single, batches, .. } = self.0.get()?;
        if let Some(stop) = single.get(&id) {
            return Some(Told { cancelled: stop.cancelled.clone(), since: stop.since, due: stop.due, at: stop.at });
        }
        // In the order they were told: the first that a child was present at is the one it obeys.
        let batch = batches.iter().find(|batch| batch.tells(id, is_daemon))?;
        Some(Told { cancelled: batch.cancelled.clone(), since: batch.since, due: batch.due, at: batch.at })
    }

    /// The child has ended. Gives back what is to be dropped without the lock.
    pub(crate) fn ended(&mut self, id: u64) -> Option<Stop> {
        self.0.get_mut()?.single.remove(&id)
    }

    #[cfg(all(test, not(sc_shuttle)))]
    pub(crate) fn has_any(&self) -> bool {
        self.0.get().is_some_and(|stops| !stops.single.is_empty())
    }

    /// Whether the child's task is aborted, so that nothing it does from here on comes to its end.
    pub(crate) fn is_aborted(&self, id: u64) -> bool {
        self.0.get().and_then(|stops| stops.single.get(&id)).is_some_and(|stop| stop.aborted)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let Stopped { single, batches, .. } = self.0.get()?;
        let single = single.values().filter(|stop| !stop.due).filter_map(|stop| stop.at);
        let batches = batches.iter().filter(|batch| !batch.due).filter_map(|batch| batch.at);
        single.chain(batches).min()
    }

    /// Ends every grace at once. Gives the tasks to abort; all who wait have to look.
    pub(crate) fn expire(&mut self, shielded: &Shielded) -> Vec<AbortHandle> {
        let Some(Stopped { single, batches, .. }) = self.0.get_mut() else { return Vec::new() };
        for batch in &mut *batches {
            batch.due = true;
        }
        let mut aborts = Vec::new();
        for (id, stop) in single.iter_mut().filter(|(_, stop)| !stop.due) {
            stop.due = true;
            stop.aborted = stop.aborts && !shielded.has(*id);
            aborts.extend(stop.task.clone().filter(|_| stop.aborted));
        }
        aborts
    }

    /// Marks what is due. Gives the tasks to abort, and whether all who wait have to look.
    pub(crate) fn tick(&mut self, now: Instant, shielded: &Shielded) -> (Vec<AbortHandle>, bool) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let Some(Stopped { single, batches, .. }) = self.0.get_mut() else { return (Vec::new(), false) };
        let mut aborts = Vec::new();
        let mut look = false;
        for (id, stop) in single.iter_mut().filter(|(_, stop)| !stop.due && is_due(stop.at)) {
            stop.due = true;
            // Its wrapper drops it once its shields are gone; an abort would be for good.
            stop.aborted = stop.aborts && !shielded.has(*id);
            look |= !stop.aborted;
            aborts.extend(stop.task.clone().filter(|_| stop.aborted));
        }
        for batch in batches.iter_mut().filter(|batch| !batch.due && is_due(batch.at)) {
            batch.due = true;
            look = true;
        }
        (aborts, look)
    }
}

impl Books {
    /// Tells a child to stop, from inside. Whether it is to be dropped now, so that somebody has to make it look, and what is to
    /// be dropped without the lock; `None` if it was told before: the first reason wins (P6), and the instant that came
    /// with it (P9).
    pub(crate) fn stop_one(
        &mut self,
        id: u64,
        is_daemon: bool,
        reason: Reason,
        (task, aborts): (Option<AbortHandle>, bool),
        now: Instant,
    ) -> Option<(bool, Option<Stop>)> {
        let by_scope = if is_daemon {
            self.daemon.as_ref().is_some_and(|told| told.id == id)
        } else {
            self.scope.cancelled().is_some()
        };
        if by_scope || self.stops.told(id, is_daemon).is_some() {
            return None;
        }
        let cancelled = self.scope.notice(CancelRequest::because(reason));
        let grace = self.graces.length(id).or(self.scope.config().grace).unwrap_or_default();
        // A shield inside it is left alone, which an abort would not do; the child looks when that is over.
        let due = grace.is_zero() && !self.shielded.has(id);
        let (at, aborted) = (now.checked_add(grace), due && aborts);
        let stop = Stop { cancelled, since: now, at, due: grace.is_zero(), task, aborts, aborted };
        let (_, late) = self.stops.one(id, stop);
        Some((due, late))
    }
}

impl Node {
    /// As [`Books::stop_one`], for one child.
    pub(crate) fn stop_child(
        self: &Arc<Self>,
        id: u64,
        is_daemon: bool,
        reason: Reason,
        task: Option<AbortHandle>,
        aborts: bool,
    ) -> Option<bool> {
        let now = Instant::now();
        let told = self.books().stop_one(id, is_daemon, reason, (task, aborts), now);
        told.map(|(due, late)| {
            drop(late);
            due
        })
    }

    pub(crate) fn cancel_present(self: &Arc<Self>, request: CancelRequest) {
        let now = Instant::now();
        let retired = {
            let mut books = self.books();
            let cancelled: Cancelled = books.scope.notice(request);
            let grace = books.scope.config().grace.unwrap_or_default();
            let below = self.spawned();
            let mut retired = Vec::new();
            let only_daemons = books.scope.cancelled().is_some();
            let in_turn = books.daemon.as_ref().map(|told| told.id);
            for (id, grace) in books.graces.below(below, only_daemons) {
                if in_turn == Some(id) {
                    continue;
                }
                let (cancelled, at, due) = (cancelled.clone(), now.checked_add(grace), grace.is_zero());
                let stop = Stop { cancelled, since: now, at, due, task: None, aborts: false, aborted: false };
                retired.push(books.stops.one(id, stop));
            }
            (retired, books.stops.all_below((below, only_daemons, in_turn), cancelled, now, grace))
        };
        drop(retired);
        self.wake_present();
        self.rearm();
    }
}

//! Children stopped from inside: by their own handle, or with all who are present.

use std::collections::BTreeMap;

use sc_core::{CancelRequest, Cancelled, Reason};

use crate::books::Books;
use crate::rt::{AbortHandle, Instant};
use crate::shield::Shielded;

/// A child that was told to stop, alone.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) cancelled: Cancelled,
    /// When its grace ends; `None`: never.
    pub(crate) at: Option<Instant>,
    pub(crate) due: bool,
    /// The task of a parallel child.
    pub(crate) task: Option<AbortHandle>,
    /// Aborting the task is what makes the child notice; otherwise it looks when it is woken.
    pub(crate) aborts: bool,
}

/// The children that were present at one `cancel_children`.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Children with a smaller number were present.
    below: u64,
    cancelled: Cancelled,
    at: Option<Instant>,
    due: bool,
}

/// How many cancellations of all present children are told apart.
const BATCHES_KEPT: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    single: BTreeMap<u64, Stop>,
    batches: Vec<Batch>,
    sweep_at: usize,
}

/// What a child has been told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) cancelled: Cancelled,
    /// The grace is over: drop at the next await.
    pub(crate) due: bool,
}

impl Stops {
    pub(crate) fn one(&mut self, id: u64, stop: Stop) {
        // An entry goes with its child's exit. The rare one that came too late for that is swept,
        // in proportion to what is there (P11).
        if self.single.len() >= self.sweep_at.max(16) {
            self.single.retain(|_, stop| !stop.task.as_ref().is_some_and(AbortHandle::is_finished));
            self.sweep_at = self.single.len() * 2;
        }
        self.single.insert(id, stop);
    }

    /// Gives back what is to be dropped without the lock: the causes are the user's.
    pub(crate) fn all_below(
        &mut self,
        below: u64,
        cancelled: Cancelled,
        at: Option<Instant>,
        due: bool,
    ) -> Option<Batch> {
        let batch = Batch { below, cancelled, at, due };
        if self.batches.last().is_some_and(|last| last.below == below) {
            // Nobody came since: they have been told, and the first reason wins (P6).
            return Some(batch);
        }
        self.batches.push(batch);
        // Later ones cover those of earlier ones, with another reason; that is what bounds the list.
        (self.batches.len() > BATCHES_KEPT).then(|| self.batches.remove(0))
    }

    pub(crate) fn told(&self, id: u64) -> Option<Told> {
        if let Some(stop) = self.single.get(&id) {
            return Some(Told { cancelled: stop.cancelled.clone(), due: stop.due });
        }
        // In the order they were told: the first that a child was present at is the one it obeys.
        let batch = self.batches.iter().find(|batch| id < batch.below)?;
        Some(Told { cancelled: batch.cancelled.clone(), due: batch.due })
    }

    /// When the grace of a child ends that may have been told to stop (`None`: never, `now`: it was
    /// not told here).
    pub(crate) fn at(&self, id: u64, now: Instant) -> Option<Instant> {
        if let Some(stop) = self.single.get(&id) {
            return stop.at;
        }
        match self.batches.iter().find(|batch| id < batch.below) {
            Some(batch) => batch.at,
            None => Some(now),
        }
    }

    /// The child has ended. Gives back what is to be dropped without the lock.
    pub(crate) fn ended(&mut self, id: u64) -> Option<Stop> {
        self.single.remove(&id)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let single = self.single.values().filter(|stop| !stop.due).filter_map(|stop| stop.at);
        let batches = self.batches.iter().filter(|batch| !batch.due).filter_map(|batch| batch.at);
        single.chain(batches).min()
    }

    /// Marks what is due. Gives the tasks to abort, and whether all who wait have to look.
    pub(crate) fn tick(&mut self, now: Instant, shielded: &Shielded) -> (Vec<AbortHandle>, bool) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let mut aborts = Vec::new();
        let mut look = false;
        for (id, stop) in self.single.iter_mut().filter(|(_, stop)| !stop.due && is_due(stop.at)) {
            stop.due = true;
            // Its wrapper drops it once its shields are gone; an abort would be for good.
            let looks = !stop.aborts || shielded.has(*id);
            look |= looks;
            aborts.extend(stop.task.clone().filter(|_| !looks));
        }
        for batch in self.batches.iter_mut().filter(|batch| !batch.due && is_due(batch.at)) {
            batch.due = true;
            look = true;
        }
        (aborts, look)
    }
}

impl Books {
    /// Tells a child to stop. Whether it is due at once; `None` if it was told before: the first reason wins (P6), and
    /// the instant that came with it (P9).
    pub(crate) fn stop_one(
        &mut self,
        id: u64,
        is_daemon: bool,
        task: Option<AbortHandle>,
        aborts: bool,
        now: Instant,
    ) -> Option<bool> {
        let by_scope = if is_daemon {
            self.daemon.as_ref().is_some_and(|told| told.id == id)
        } else {
            self.scope.cancelled().is_some()
        };
        if by_scope || self.stops.told(id).is_some() {
            return None;
        }
        let cancelled = self.scope.notice(CancelRequest::because(Reason::Requested));
        let grace = self.scope.config().grace.unwrap_or_default();
        // A shield inside it is left alone, which an abort would not do.
        let due = grace.is_zero() && !self.shielded.has(id);
        self.stops.one(id, Stop { cancelled, at: now.checked_add(grace), due, task, aborts });
        Some(due)
    }
}

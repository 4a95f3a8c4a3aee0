//! Children stopped from inside: by their own handle, or with all who are present.

use std::collections::BTreeMap;

use sc_core::Cancelled;

use crate::rt::{AbortHandle, Instant};

/// A child that was told to stop, alone.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) cancelled: Cancelled,
    /// When its grace ends; `None`: never.
    pub(crate) at: Option<Instant>,
    pub(crate) due: bool,
    /// What makes a parallel child's task notice.
    pub(crate) abort: Option<AbortHandle>,
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
            self.single.retain(|_, stop| !stop.abort.as_ref().is_some_and(AbortHandle::is_finished));
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

    /// Ends every grace at once. Gives the tasks to abort; all who wait have to look.
    pub(crate) fn expire(&mut self) -> Vec<AbortHandle> {
        self.batches.iter_mut().for_each(|batch| batch.due = true);
        let mut aborts = Vec::new();
        for stop in self.single.values_mut().filter(|stop| !stop.due) {
            stop.due = true;
            aborts.extend(stop.abort.clone());
        }
        aborts
    }

    /// Marks what is due. Gives the tasks to abort, and whether all who wait have to look.
    pub(crate) fn tick(&mut self, now: Instant) -> (Vec<AbortHandle>, bool) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let mut aborts = Vec::new();
        let mut look = false;
        for stop in self.single.values_mut().filter(|stop| !stop.due && is_due(stop.at)) {
            stop.due = true;
            look |= stop.abort.is_none();
            aborts.extend(stop.abort.clone());
        }
        for batch in self.batches.iter_mut().filter(|batch| !batch.due && is_due(batch.at)) {
            batch.due = true;
            look = true;
        }
        (aborts, look)
    }
}

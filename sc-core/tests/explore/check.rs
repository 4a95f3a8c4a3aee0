//! What must hold in every state, and of every scope that closed.

use sc_core::{ChildId, OutcomeKind, Phase, ScopeId};

use super::book::{Body, Book, Place, Stage, Task, instant, units};
use super::ends::acts;
use super::machine::Ending;
use super::setup::{ScopeSetup, TaskSetup};
use super::words::{How, Tag, ensure};
use super::world::{Checked, World};

impl World<'_> {
    pub(crate) fn check_state(&self) -> Checked {
        for (s, book) in self.books.iter().enumerate().filter(|(_, book)| book.opened) {
            check_cancellation(book)?;
            self.check_nesting(s)?;
            if book.closed {
                continue;
            }
            ensure!(book.machine.get().phase() == phase(book), "P7", "phase {:?}", book.machine.get().phase());
            self.check_time(s)?;
            if matches!(book.place, Place::Dropped | Place::Orphaned) {
                ensure!(book.adopted, "P3", "the scope's future is gone and nobody adopted it");
                ensure!(book.cancel.is_some() || book.finalizing, "P3", "the future is gone, nothing is cancelled");
            }
        }
        Ok(())
    }

    fn check_nesting(&self, s: usize) -> Checked {
        let (book, Some(p)) = (&self.books[s], self.setup.scopes[s].opener.parent()) else { return Ok(()) };
        let outer = &self.books[p];
        ensure!(book.closed || !outer.closed, "P3", "the outer scope closed before the nested one");
        let cancelled = book.cancel.is_some() || book.finalizing || book.closed;
        if self.is_shielded(s) {
            let own = book.cancel.is_none_or(|cancel| !cancel.inherited);
            ensure!(own, "P6", "a cancellation came through a shield");
            return Ok(());
        }
        ensure!(outer.cancel.is_none() || cancelled, "P6", "the outer scope is cancelled, the nested one is not");
        Ok(())
    }

    fn check_time(&self, s: usize) -> Checked {
        let (book, scope) = (&self.books[s], self.books[s].machine.get());
        let expected = self.effective_deadline(s).map(|(at, owner)| (units(at), ScopeId::new(owner as u64 + 1)));
        let actual = scope.deadline().map(|deadline| (deadline.at() - instant(0), deadline.owner().id()));
        ensure!(actual == expected, "P8", "the deadline is {actual:?}, expected {expected:?}");
        let late = scope.next_timer().is_some_and(|at| at <= instant(self.now));
        if late || self.tick_due(s) || !self.driven(s) {
            return Ok(());
        }
        if let Some(cancel) = book.cancel.filter(|_| !book.drained) {
            ensure!(book.stopped || cancel.stop_at > self.now, "P9", "not stopped after {cancel:?}");
        }
        if let Some(stopping) = book.stopping {
            ensure!(stopping.dropped || stopping.stop_at > self.now, "P9", "daemon not stopped after {stopping:?}");
        }
        let expired = self.effective_deadline(s).is_some_and(|(at, owner)| at <= self.now && owner == s);
        ensure!(!expired || book.cancel.is_some() || book.drained, "P8", "the deadline passed without effect");
        Ok(())
    }

    pub(crate) fn check_ending(&self, s: usize) -> Checked {
        let book = &self.books[s];
        let Some(ending) = &book.ending else { return Ok(()) };
        check_outcome(book, ending)?;
        check_delivery(book, ending)?;
        check_promised_ok(book, &self.setup.scopes[s], ending)?;
        self.check_counts(s, ending)
    }

    /// Every accepted child has one recorded exit, under the right heading (P4).
    fn check_counts(&self, s: usize, ending: &Ending) -> Checked {
        let book = &self.books[s];
        let ends =
            || book.tasks.iter().filter_map(|task| if let Stage::Ended(how) = task.stage { Some(how) } else { None });
        let count = |of: fn(How) -> bool| ends().filter(|how| of(*how)).count() as u64;
        let expected = [
            count(|_| true),
            count(|how| how == How::Ok),
            count(|how| matches!(how, How::Err | How::TimedOut)),
            count(|how| how == How::Panic || how.destructor()),
            count(|how| matches!(how, How::Dropped | How::AwaitedDead | How::RuntimeEnded)),
            book.refused,
        ];
        let report = &ending.report;
        let actual =
            [report.spawned, report.succeeded, report.failed, report.panicked, report.cancelled, report.refused];
        ensure!(actual == expected, "P4", "the report counts {actual:?}, expected {expected:?}");
        ensure!(report.drained_in.is_some() == book.cancel.is_some(), "P4", "drained in {:?}", report.drained_in);
        Ok(())
    }

    /// Inputs after `closed` have no effect. Spoils the world.
    pub(crate) fn check_closed_is_final(&mut self) -> Checked {
        let now = self.instant();
        for s in 0..self.books.len() {
            if !self.books[s].opened {
                continue;
            }
            self.say_to_closed(s)?;
            self.check_second_outcome(s)?;
            let book = &mut self.books[s];
            let request = sc_core::CancelRequest::because(sc_core::Reason::Requested);
            let all = [
                book.machine.cancel(request, now),
                book.machine.tick(now + units(100)),
                book.machine.future_dropped(now),
                book.machine.opener_ended(now),
                book.machine.drained(now),
                book.machine.set_deadline(None, now).1,
            ];
            for effects in all {
                let acts = acts(&effects);
                ensure!(!acts, "P1", "a closed scope still acts: {effects:?}");
            }
            ensure!(!book.machine.admit_daemon(ChildId::new(99), None), "P7", "a closed scope admits a daemon");
            ensure!(!book.machine.admit_finalizer(), "P10", "a closed scope admits a finalizer");
        }
        Ok(())
    }
}

/// The scope's own view agrees with the first reason, and so does what was performed (P6, P7).
fn check_cancellation(book: &Book) -> Checked {
    let actual = book.machine.get().cancelled().map(|c| (c.reason(), c.origin().id(), c.is_inherited()));
    let expected = book.cancel.map(|c| (c.reason, ScopeId::new(c.origin as u64 + 1), c.inherited));
    ensure!(actual == expected, "P6", "cancelled: {actual:?}, expected {expected:?}");
    ensure!(book.signalled == book.cancel.is_some(), "P6", "published: {}", book.signalled);
    let refuses = book.cancel.is_some() || book.drained;
    ensure!(book.refusing == refuses, "P7", "refusing: {}, has to refuse: {refuses}", book.refusing);
    Ok(())
}

fn phase(book: &Book) -> Phase {
    if book.finalizing {
        Phase::Finalizing
    } else if book.cancel.is_some() || book.drained {
        Phase::Draining
    } else if book.body == Body::Running {
        Phase::Open
    } else {
        Phase::Closing
    }
}

fn check_outcome(book: &Book, ending: &Ending) -> Checked {
    let kind = ending.kind;
    if let Some(primary) = book.primary {
        let first = ending.failures.first().copied().flatten();
        ensure!(first == Some(primary), "P5", "primary is {first:?}, expected {primary:?}");
    }
    let value = book.body == Body::Value && book.place != Place::Dropped;
    ensure!(ending.value.is_some() == value, "P5", "value: {:?}, body gave one: {value}", ending.value);
    let ok = matches!(kind, OutcomeKind::Ok | OutcomeKind::Partial);
    ensure!(!ok || book.body == Body::Value, "P5", "{kind:?}, and the body gave no value");
    let failures = !ending.failures.is_empty() || ending.report.failures_unkept > 0;
    let expected = book.expected_kind(failures);
    ensure!(kind == expected, "P5", "ended as {kind:?}, expected {expected:?}");
    Ok(())
}

/// Every injected error and panic was delivered, and once (P4).
fn check_delivery(book: &Book, ending: &Ending) -> Checked {
    let mut found: Vec<Tag> = ending.failures.iter().copied().flatten().chain(book.delivered.iter().copied()).collect();
    found.sort_unstable();
    let injected: Vec<Tag> = book.injected.iter().copied().collect();
    ensure!(found == injected, "P4", "delivered {found:?}, injected {injected:?}");
    let unkept = ending.report.failures_unkept;
    ensure!(unkept == book.hooked, "P4", "{unkept} failures reported as not kept, {} were", book.hooked);
    let members = ending.report.failed_members.iter().zip(&ending.failures);
    for (member, tag) in members {
        ensure!(tag.is_none_or(|tag| book.member(tag) == *member), "P4", "{tag:?} is said to be of {member}");
    }
    Ok(())
}

/// Said once more without the oracle's bookkeeping: a body's value and children that all succeeded,
/// or were stopped from inside, are `Ok`, cancelled or not (P5), while somebody is there to get it.
fn check_promised_ok(book: &Book, setup: &ScopeSetup, ending: &Ending) -> Checked {
    let fine = |(task, setup): (&Task, &TaskSetup)| match task.stage {
        Stage::Ended(How::Ok) | Stage::Absent => true,
        Stage::Ended(How::Dropped) => task.told_by_handle || setup.kind.daemon,
        _ => false,
    };
    let children = book.tasks.iter().zip(&setup.tasks).all(fine);
    let delivered = matches!(book.place, Place::InItsFrame);
    if book.body == Body::Value && children && book.injected.is_empty() && delivered {
        let ok = ending.kind == OutcomeKind::Ok;
        ensure!(ok, "P5", "body and children are fine, and the scope ended as {:?}", ending.kind);
    }
    Ok(())
}

//! Ends whose instant somebody else than the scope sets: shutdowns by an owner, graces that nobody can time, shields;
//! and children that are something else at their exit than when they were spawned.

use sc_core::{BodyEnd, CancelRequest, Cancelled, ChildId, ChildKind, Effects, FailureRecord, Member, Reason};

use super::book::{Body, NEVER, Ordered, Place, Stopping, instant, units};
use super::machine::{Ending, Fault};
use super::setup::Opener;
use super::words::{Tag, What, Who, ensure};
use super::world::{Checked, World};

impl World<'_> {
    /// The owner shuts the scope down: its own grace is no more, and what runs has until then (P9).
    pub(crate) fn shut_down(&mut self, s: usize, grace: Option<u32>) -> Checked {
        let at = grace.map(|grace| self.now + grace);
        let until = at.unwrap_or(NEVER);
        let now = self.now;
        let book = &mut self.books[s];
        book.shut_downs += 1;
        book.grace = None;
        let was_cancelled = book.cancel.is_some();
        let ordered = Ordered { reason: Reason::Shutdown, origin: s, inherited: false, stop_at: until };
        book.order_cancel(ordered, now);
        self.order_earlier_end(s, until);
        let request = CancelRequest::because(Reason::Shutdown);
        let effects = self.books[s].machine.stop_by(request, at.map(instant), instant(now));
        self.perform(s, effects)?;
        if was_cancelled { self.hasten_below(s) } else { Ok(()) }
    }

    /// Whoever shares the grace shares its earlier end, a daemon in its turn included, unless it has its own.
    fn order_earlier_end(&mut self, s: usize, until: u32) {
        let book = &mut self.books[s];
        let Some(cancel) = &mut book.cancel else { return };
        cancel.stop_at = cancel.stop_at.min(until);
        let tasks = &self.setup.scopes[s].tasks;
        if let Some(stopping) = book.stopping.as_mut().filter(|stopping| tasks[stopping.task].grace.is_none()) {
            stopping.stop_at = stopping.stop_at.min(until);
        }
    }

    fn hasten_below(&mut self, p: usize) -> Checked {
        let at = self.books[p].machine.get().stop_at();
        let until = self.books[p].cancel.map_or(NEVER, |cancel| cancel.stop_at);
        for s in 0..self.books.len() {
            if self.setup.scopes[s].opener.parent() != Some(p) || !self.books[s].live() || self.is_shielded(s) {
                continue;
            }
            let shares = self.books[s].grace.is_none();
            if shares {
                self.order_earlier_end(s, until);
            }
            let effects = self.books[s].machine.hasten(at, instant(self.now));
            self.perform(s, effects)?;
            if shares {
                self.hasten_below(s)?;
            }
        }
        Ok(())
    }

    /// What runs is given no more time, since nobody could measure it.
    pub(crate) fn cut_grace(&mut self, s: usize) -> Checked {
        let now = self.now;
        let book = &mut self.books[s];
        if let Some(cancel) = &mut book.cancel {
            cancel.stop_at = now;
        }
        if let Some(stopping) = &mut book.stopping {
            stopping.stop_at = now;
        }
        let effects = book.machine.cut_grace(instant(now));
        self.perform(s, effects)?;
        let book = &self.books[s];
        ensure!(book.cancel.is_none() || book.drained || book.stopped, "P9", "graces were cut, and nothing is stopped");
        let dropped = |stopping: Stopping| stopping.dropped;
        ensure!(book.stopping.is_none_or(dropped), "P9", "graces were cut, and a daemon goes on");
        Ok(())
    }

    pub(crate) fn is_shielded(&self, s: usize) -> bool {
        self.setup.scopes[s].shield.is_some() && !self.books[s].shield_over
    }

    /// Hands a cancellation down, or to the shield that holds it back (P6, P8).
    pub(crate) fn hand_down(&mut self, p: usize, s: usize, cancelled: &Cancelled) -> Checked {
        let shield = self.setup.scopes[s].shield.filter(|_| self.setup.fault != Some(Fault::ShieldLetsThrough));
        let (Some(limit), true) = (shield, self.is_shielded(s)) else { return self.inherit(p, s, cancelled) };
        if self.books[s].held_back.is_some() {
            return Ok(());
        }
        let at = self.now + limit;
        self.books[s].held_back = Some(at);
        let deadline = sc_core::Deadline::new(instant(at), cancelled.origin().clone(), None);
        let effects = self.books[s].machine.inherit_deadline(Some(deadline));
        self.perform(s, effects)
    }

    /// Inside a shield, the only deadline from outside is its own end, once something is held back (P8).
    pub(crate) fn end_of_shield(&self, p: usize, s: usize) -> Option<(u32, usize)> {
        let at = self.books[s].held_back?;
        Some((at, self.books[p].cancel?.origin))
    }

    /// The time of a shield is over: the outer cancellation comes through, with nothing left of its grace.
    pub(crate) fn end_shield(&mut self, s: usize) -> Checked {
        self.books[s].shield_over = true;
        let Some(p) = self.setup.scopes[s].opener.parent() else { return Ok(()) };
        let Some(cancelled) = self.books[p].machine.get().cancelled().cloned() else { return Ok(()) };
        if let Some(outer) = self.books[p].cancel {
            let stop_at = self.now + self.books[s].grace.unwrap_or(0);
            self.books[s].order_cancel(Ordered { inherited: true, stop_at, ..outer }, self.now);
        }
        let now = instant(self.now);
        let effects = self.books[s].machine.inherit(&cancelled, Some(now), now);
        self.perform(s, effects)
    }

    /// A child is about to be dropped: the scopes it opened learn why before they lose their futures (P6).
    pub(crate) fn tell_opened(&mut self, s: usize, t: usize) -> Checked {
        let (now, own) = (instant(self.now), self.books[s].tasks[t].told_by_handle);
        for n in 0..self.books.len() {
            if self.setup.scopes[n].opener != Opener::Task(s, t) || !self.books[n].live() {
                continue;
            }
            let cancelled = match self.books[s].machine.get().cancelled().cloned() {
                Some(cancelled) => cancelled,
                None if own => self.books[s].machine.notice(CancelRequest::because(Reason::Requested)),
                None => continue,
            };
            if self.is_shielded(n) {
                continue;
            }
            let (reason, origin) = self.books[s].cancel.map_or((Reason::Requested, s), |c| (c.reason, c.origin));
            let stop_at = self.now + self.books[n].grace.unwrap_or(0);
            self.books[n].order_cancel(Ordered { reason, origin, inherited: true, stop_at }, self.now);
            let effects = self.books[n].machine.inherit(&cancelled, Some(now), now);
            self.perform(n, effects)?;
            // And once more, as when the scope around it is cancelled too, with more time: the first counts.
            let cancel = self.books[n].machine.get().stop_at();
            let effects = self.books[n].machine.inherit(&cancelled, Some(now + units(2)), now);
            ensure!(!acts(&effects), "P6", "inherited twice: {effects:?}");
            ensure!(self.books[n].machine.get().stop_at() == cancel, "P9", "a second cancellation moved the grace");
        }
        Ok(())
    }

    /// A child that was started is isolated until it has signalled, and its scope's from then on.
    pub(crate) fn kind_at_exit(&self, s: usize, t: usize) -> ChildKind {
        let setup = &self.setup.scopes[s].tasks[t];
        let starting = setup.starts && !self.books[s].tasks[t].ready;
        ChildKind { isolated: setup.kind.isolated || starting, ..setup.kind }
    }

    pub(crate) fn notice_of_deadline(&self, s: usize, t: usize) -> Result<Cancelled, super::words::Violation> {
        let child = Member::child(ChildId::new(t as u64));
        let notice = self.books[s].machine.notice_of_deadline(child.clone(), units(5));
        let own = notice.origin().id() == self.books[s].machine.get().config().origin.id() && !notice.is_inherited();
        let right = notice.is_deadline() && notice.culprit() == Some(&child) && own;
        ensure!(right, "P8", "the deadline of task {t} is told as {notice:?} of {:?}", notice.culprit());
        ensure!(notice.to_string().starts_with("deadline of 5s of child"), "P8", "it reads: {notice}");
        Ok(notice)
    }

    /// Owners are no code that could be stopped: the cancellation ends them, as a body with a value.
    pub(crate) fn end_owner(&mut self, s: usize) -> Checked {
        let book = &mut self.books[s];
        let Some(at) = book.machine.get().cancelled_at() else { return Ok(()) };
        if book.place != Place::InItsFrame {
            // Its owner is gone with the value; the binding says so all the same.
            let effects = book.machine.body_ended(BodyEnd::Value, None, at);
            ensure!(!acts(&effects), "P5", "a body that had ended ends again: {effects:?}");
            return Ok(());
        }
        ensure!(book.body == Body::Running, "P5", "an owner is told twice that it has ended");
        book.body = Body::Value;
        let effects = book.machine.body_ended(BodyEnd::Value, None, at);
        ensure!(!acts(&effects), "P5", "the end of an owner asks for: {effects:?}");
        book.count -= 1;
        Ok(())
    }

    /// What bindings say to a scope that is closed and whose outcome nobody has taken yet, which changes nothing.
    pub(crate) fn say_to_closed(&mut self, s: usize) -> Checked {
        let now = instant(self.now);
        let request = || CancelRequest::because(Reason::Shutdown);
        let machine = &mut self.books[s].machine;
        let cancelled = machine.notice(request());
        let all = [
            machine.future_dropped(now),
            machine.stop_by(request(), Some(now), now),
            machine.hasten(Some(now), now),
            machine.cut_grace(now),
            machine.inherit(&cancelled, Some(now), now),
            machine.inherit_deadline(Some(sc_core::Deadline::new(now, cancelled.origin().clone(), None))),
            machine.body_ended(BodyEnd::Cut, None, now),
            machine.body_ended(BodyEnd::AwaitedDead, None, now),
            machine.runtime_ended(now).1,
        ];
        for effects in all {
            ensure!(!acts(&effects), "P1", "a closed scope still acts: {effects:?}");
        }
        let tag = Tag::new(s, Who::Finalizer(99), What::Error);
        let record = || FailureRecord { member: Member::body(), failure: tag.failure() };
        for effects in [machine.failed(record(), now), machine.unclaimed(record())] {
            ensure!(effects.unkept.len() == 1 && !acts(&effects), "P4", "late for a closed scope: {effects:?}");
        }
        Ok(())
    }

    /// Who comes for an outcome that was taken is told the same kind of end, and no failure a second time (P4).
    pub(crate) fn check_second_outcome(&mut self, s: usize) -> Checked {
        let value = self.books[s].ending.as_ref().and_then(|ending| ending.value);
        let Some(first) = self.books[s].ending.as_ref().map(Ending::is_ok) else { return Ok(()) };
        let second = self.books[s].machine.finish(value, 0);
        ensure!(second.failures.is_empty(), "P4", "delivered twice: {:?}", second.failures);
        ensure!(second.is_ok() == first, "P5", "the outcome was {first:?}, and is {:?} now", second.kind);
        ensure!(second.is_ok() || second.cancelled, "P5", "{:?} and no reason", second.kind);
        Ok(())
    }
}

/// Whether anything is to be done; a timer to look at is nothing.
pub(crate) fn acts(effects: &Effects<Tag>) -> bool {
    effects.signal.is_some()
        || effects.stop
        || effects.refuse
        || effects.adopt
        || effects.closed
        || effects.judge
        || effects.run_finalizer
        || effects.deadline_moved
        || effects.signal_daemon.is_some()
        || effects.stop_daemon.is_some()
}

//! How the binding carries out effects, and what has to hold at each of them.

use sc_core::{Cancelled, ChildId, Effects, FailureRecord, Reason, ScopeId, Slow};

use super::book::{Body, Handle, Place, Stage, Stopping, Task, instant, units};
use super::machine::Fault;
use super::words::{Tag, ensure};
use super::world::{Checked, World};

impl World<'_> {
    pub(crate) fn perform(&mut self, s: usize, effects: Effects<Tag>) -> Checked {
        let Effects {
            refuse,
            signal,
            stop,
            signal_daemon,
            stop_daemon,
            judge,
            settled,
            adopt,
            run_finalizer,
            deadline_moved,
            rearm,
            slow,
            unkept,
            closed,
        } = effects;
        self.books[s].refusing |= refuse;
        if let Some(cancelled) = signal {
            self.signal(s, &cancelled)?;
        }
        if stop {
            self.stop(s)?;
        }
        if let Some((id, cancelled)) = signal_daemon {
            self.signal_daemon(s, id, &cancelled)?;
        }
        if let Some(id) = stop_daemon {
            self.stop_daemon(s, id)?;
        }
        if judge && self.books[s].judging.is_none() {
            self.next_to_judge(s)?;
        }
        if settled {
            for task in &mut self.books[s].tasks {
                task.handle = if task.handle == Handle::Waiting { Handle::Held } else { task.handle };
            }
        }
        if adopt {
            ensure!(!self.books[s].adopted, "P3", "the scope is to be adopted twice");
            self.books[s].adopted = true;
        }
        if run_finalizer {
            self.run_finalizer(s)?;
        }
        if deadline_moved {
            self.hand_deadline_down(s)?;
        }
        self.arm(s, rearm)?;
        if let Some(slow) = slow {
            self.slow(s, slow)?;
        }
        for FailureRecord { failure, .. } in unkept {
            self.books[s].delivered.extend(Tag::of(&failure));
            self.books[s].hooked += 1;
        }
        if closed {
            self.close(s)?;
        }
        Ok(())
    }

    fn signal(&mut self, s: usize, cancelled: &Cancelled) -> Checked {
        let book = &mut self.books[s];
        ensure!(!book.signalled, "P6", "a second cancellation was published: {cancelled}");
        book.signalled = true;
        let Some(ordered) = book.cancel else {
            ensure!(false, "P6", "cancelled without a reason to: {cancelled}");
            return Ok(());
        };
        let id = ScopeId::new(ordered.origin as u64 + 1);
        let same = cancelled.reason() == ordered.reason && cancelled.origin().id() == id;
        ensure!(same, "P6", "published {cancelled}, expected {ordered:?}");
        let inherited = cancelled.is_inherited();
        ensure!(inherited == ordered.inherited, "P6", "inherited: {inherited}, expected {ordered:?}");
        if let (Some(primary), Reason::ChildFailed, false) = (book.primary, ordered.reason, inherited) {
            ensure!(cancelled.culprit() == Some(&book.member(primary)), "P6", "culprit is not {primary:?}");
        }
        for n in 0..self.books.len() {
            if self.setup.scopes[n].opener.parent() == Some(s) && self.books[n].live() {
                self.hand_down(s, n, cancelled)?;
            }
        }
        if self.setup.scopes[s].owned {
            self.end_owner(s)?;
        }
        Ok(())
    }

    fn stop(&mut self, s: usize) -> Checked {
        let book = &mut self.books[s];
        ensure!(!book.stopped, "P9", "stopped twice");
        let due = book.cancel.is_some_and(|cancel| cancel.stop_at <= self.now);
        ensure!(due, "P9", "stopped at {} before the grace is over: {:?}", self.now, book.cancel);
        book.stopped = true;
        Ok(())
    }

    fn signal_daemon(&mut self, s: usize, id: ChildId, cancelled: &Cancelled) -> Checked {
        let now = self.now;
        let alive = self.daemons(s);
        let book = &mut self.books[s];
        ensure!(book.count == 0 && book.drained, "P10", "a daemon is told to stop before ordinary children ended");
        ensure!(book.stopping.is_none(), "P10", "a second daemon is told to stop before the first ended");
        let newest = alive.last().map(|t| ChildId::new(*t as u64));
        ensure!(newest == Some(id), "P10", "daemon {id} is told to stop, the newest is {newest:?}");
        let reason = book.cancel.map_or(Reason::WorkDone, |cancel| cancel.reason);
        ensure!(cancelled.reason() == reason, "P6", "a daemon is told {cancelled}, expected {reason:?}");
        let task = alive.last().copied().unwrap_or_default();
        let own = self.setup.scopes[s].tasks.get(task).and_then(|setup| setup.grace);
        let stop_at = match (own, book.grace, book.cancel) {
            (Some(grace), ..) | (None, Some(grace), _) => now + grace,
            (None, None, Some(cancel)) => cancel.stop_at,
            (None, None, None) => now,
        };
        book.stopping = Some(Stopping { task, stop_at, dropped: false });
        Ok(())
    }

    fn stop_daemon(&mut self, s: usize, id: ChildId) -> Checked {
        let now = self.now;
        let ended = |task: &Task| matches!(task.stage, Stage::Ended(_));
        if usize::try_from(id.get()).is_ok_and(|t| self.books[s].tasks.get(t).is_some_and(ended)) {
            // To drop what has ended is no mistake: the end and the timer may cross.
            return Ok(());
        }
        let stopping = self.books[s].stopping.as_mut().filter(|stopping| id == ChildId::new(stopping.task as u64));
        let Some(stopping) = stopping else {
            ensure!(false, "P10", "daemon {id} is dropped without having been told to stop");
            return Ok(());
        };
        ensure!(!stopping.dropped, "P9", "daemon {id} is dropped twice");
        ensure!(stopping.stop_at <= now, "P9", "daemon {id} is dropped at {now} before its grace is over");
        stopping.dropped = true;
        Ok(())
    }

    /// Daemons that have not ended, oldest first.
    fn daemons(&self, s: usize) -> Vec<usize> {
        let tasks = self.setup.scopes[s].tasks.iter().zip(&self.books[s].tasks).enumerate();
        tasks.filter(|(_, (setup, task))| setup.kind.daemon && task.alive()).map(|(t, _)| t).collect()
    }

    fn run_finalizer(&mut self, s: usize) -> Checked {
        let daemons = self.daemons(s);
        let book = &mut self.books[s];
        ensure!(book.count == 0 && book.drained, "P10", "a finalizer runs before ordinary children ended");
        ensure!(daemons.is_empty(), "P10", "a finalizer runs before daemons {daemons:?} ended");
        ensure!(book.finalizer.is_none(), "P10", "two finalizers run at once");
        ensure!(!book.finalizers.is_empty(), "P10", "a finalizer is run that was never registered");
        let first_in = self.setup.fault == Some(Fault::FinalizersFirstInFirstOut);
        let next = book.finalizers.remove(if first_in { 0 } else { book.finalizers.len() - 1 });
        ensure!(book.finalizers.iter().all(|n| *n < next), "P10", "finalizer {next} runs before a later one");
        book.finalizer = Some(next);
        book.finalizing = true;
        let end = book.machine.get().end();
        let expected = book.expected_kind(false);
        let told = end.kind();
        ensure!(
            told == expected || (told, expected) == (sc_core::OutcomeKind::Partial, sc_core::OutcomeKind::Ok),
            "P5",
            "a finalizer is told {told:?}, expected {expected:?}"
        );
        ensure!(!end.is_ok() || book.body == Body::Value, "P5", "a finalizer is told Ok, and the body gave no value");
        Ok(())
    }

    pub(crate) fn next_to_judge(&mut self, s: usize) -> Checked {
        let book = &mut self.books[s];
        book.judging = book.machine.next_exit_to_judge();
        let queued = book.judging.as_ref().map(|exit| (exit.id, exit.failure.is_some()));
        let expected = book.to_judge.front().map(|(t, failed, _)| (ChildId::new(*t as u64), *failed));
        ensure!(queued == expected, "P5", "the policy is to judge {queued:?}, expected {expected:?}");
        Ok(())
    }

    fn hand_deadline_down(&mut self, s: usize) -> Checked {
        for n in 0..self.books.len() {
            if self.setup.scopes[n].opener.parent() == Some(s)
                && self.books[n].live()
                && self.setup.scopes[n].shield.is_none()
            {
                let deadline = self.books[s].machine.get().deadline().cloned();
                let effects = self.books[n].machine.inherit_deadline(deadline);
                self.perform(n, effects)?;
            }
        }
        Ok(())
    }

    fn arm(&mut self, s: usize, rearm: bool) -> Checked {
        let book = &mut self.books[s];
        let next = book.machine.get().next_timer();
        if rearm {
            book.armed = next;
        }
        let served = match (next, book.armed) {
            (None, _) => true,
            (Some(next), armed) => armed.is_some_and(|armed| armed <= next) || next <= instant(self.now),
        };
        ensure!(served, "P9", "a timer is due in {:?} and nobody was told to arm it", next.map(|n| n - instant(0)));
        Ok(())
    }

    fn slow(&mut self, s: usize, slow: Slow) -> Checked {
        let book = &self.books[s];
        let Some(since) = book.waiting_since else {
            ensure!(false, "P9", "a slow end is reported and nothing waits");
            return Ok(());
        };
        let patience = self.setup.scopes[s].warn_after.map(units);
        ensure!(patience.is_some_and(|p| slow.waited >= p), "P9", "reported as slow after {:?}", slow.waited);
        ensure!(slow.waited <= units(self.now - since), "P9", "waited {:?}, more than true", slow.waited);
        ensure!(slow.draining == book.refusing, "P9", "draining: {}, refusing: {}", slow.draining, book.refusing);
        Ok(())
    }

    fn close(&mut self, s: usize) -> Checked {
        let daemons = self.daemons(s);
        let book = &mut self.books[s];
        ensure!(!book.closed, "P1", "closed twice");
        ensure!(book.count == 0 && book.drained, "P1", "closed with {} ordinary children alive", book.count);
        ensure!(daemons.is_empty(), "P1", "closed with daemons {daemons:?} alive");
        ensure!(book.finalizers.is_empty() && book.finalizer.is_none(), "P10", "closed with finalizers to run");
        ensure!(book.judging.is_none() && book.to_judge.is_empty(), "P5", "closed with exits to judge");
        let ended = |stage: Stage| !matches!(stage, Stage::Ready | Stage::Running);
        ensure!(book.tasks.iter().all(|task| ended(task.stage)), "P1", "closed with a task alive");
        book.closed = true;
        if self.setup.scopes[s].owned {
            self.say_to_closed(s)?;
        }
        let book = &mut self.books[s];
        let value = (book.body == Body::Value && book.place != Place::Dropped).then_some(7);
        book.ending = Some(book.machine.finish(value, book.spawned));
        for n in 0..self.books.len() {
            let nested = self.setup.scopes[n].opener.parent() == Some(s);
            ensure!(!nested || !self.books[n].live(), "P3", "closed before the scope nested in it");
        }
        self.check_ending(s)?;
        let released = self.setup.fault == Some(Fault::CountReleasedWithTheFuture);
        if let Some(p) = self.setup.scopes[s].opener.parent() {
            if !released || self.books[s].place != Place::Dropped {
                self.books[p].count -= 1;
            }
        }
        Ok(())
    }
}

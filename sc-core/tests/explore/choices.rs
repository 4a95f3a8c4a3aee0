//! What can happen next in a state: the nondeterminism that the search resolves in every way.

use super::book::{Body, Handle, Place, Stage};
use super::setup::Opener;
use super::words::{Event, How, Ruling};
use super::world::World;

const DROPPED: [How; 1] = [How::Dropped];
const DROPPED_AND_DESTRUCTOR: [How; 2] = [How::Dropped, How::DroppedDtor];

impl World<'_> {
    pub(crate) fn choices(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for s in 0..self.books.len() {
            let book = &self.books[s];
            if !book.opened && self.may_open(s) {
                events.push(Event::Open(s));
            }
            if book.live() {
                self.task_choices(s, &mut events);
                self.body_choices(s, &mut events);
                self.handle_choices(s, &mut events);
                self.control_choices(s, &mut events);
                self.teardown_choices(s, &mut events);
            }
        }
        if self.may_advance() {
            events.push(Event::Advance);
        }
        events
    }

    fn may_open(&self, s: usize) -> bool {
        match self.setup.scopes[s].opener {
            Opener::Root => true,
            Opener::Body(p) => self.books[p].live() && self.body_runs(p),
            Opener::Task(p, t) => self.books[p].live() && self.books[p].tasks[t].stage == Stage::Running,
        }
    }

    /// Whether somebody polls the driver of the scope: its frame, or who adopted it.
    pub(crate) fn driven(&self, s: usize) -> bool {
        let book = &self.books[s];
        book.adopted
            || book.place == Place::InItsFrame
                && match self.setup.scopes[s].opener {
                    Opener::Root => true,
                    Opener::Body(p) => self.books[p].place == Place::InItsFrame && self.driven(p),
                    Opener::Task(p, t) => self.books[p].tasks[t].stage == Stage::Running,
                }
    }

    fn body_runs(&self, s: usize) -> bool {
        let book = &self.books[s];
        book.body == Body::Running && book.place == Place::InItsFrame && self.driven(s)
    }

    /// Whether a frame awaits a nested scope, so that it cannot end by itself.
    fn awaits(&self, frame: Opener) -> bool {
        let opened_by = |s: &usize| self.setup.scopes[*s].opener == frame;
        let unresolved = |s: usize| self.books[s].live() && self.books[s].place == Place::InItsFrame;
        (0..self.books.len()).filter(opened_by).any(unresolved)
    }

    fn drops(&self, s: usize) -> &'static [How] {
        if self.setup.scopes[s].destructors { &DROPPED_AND_DESTRUCTOR } else { &DROPPED }
    }

    fn task_choices(&self, s: usize, events: &mut Vec<Event>) {
        let book = &self.books[s];
        let alive = self.body_runs(s) || book.tasks.iter().any(|task| task.stage == Stage::Running);
        for (t, setup) in self.setup.scopes[s].tasks.iter().enumerate() {
            let task = &book.tasks[t];
            let dropped = if setup.kind.daemon {
                book.stopping.is_some_and(|stopping| stopping.task == t && stopping.dropped)
            } else {
                book.stopped
            };
            let told = task.told_by_handle || book.told(t, setup.kind.daemon) != sc_core::Told::Nobody;
            match task.stage {
                Stage::Absent if setup.late && alive => events.push(Event::Spawn(s, t)),
                // A child of a draining scope is never polled (P7).
                Stage::Ready if told => events.extend(self.drops(s).iter().map(|how| Event::Exit(s, t, *how))),
                Stage::Ready => events.push(Event::Start(s, t)),
                Stage::Running => {
                    if !self.awaits(Opener::Task(s, t)) {
                        let possible = |how: &&How| **how != How::AwaitedDead || self.other_dead(s, Some(t));
                        events.extend(setup.ends.iter().filter(possible).map(|how| Event::Exit(s, t, *how)));
                    }
                    if dropped || task.told_by_handle {
                        events.extend(self.drops(s).iter().map(|how| Event::Exit(s, t, *how)));
                    }
                }
                _ => {}
            }
            if setup.starts && task.stage == Stage::Running && !task.ready {
                events.push(Event::Ready(s, t));
            }
            if setup.stop && task.alive() && !task.told_by_handle {
                events.push(Event::StopFromInside(s, t));
            }
        }
    }

    fn other_dead(&self, s: usize, but: Option<usize>) -> bool {
        let dead = |(t, task): (usize, &super::book::Task)| Some(t) != but && task.dead();
        self.books[s].tasks.iter().enumerate().any(dead)
    }

    fn body_choices(&self, s: usize, events: &mut Vec<Event>) {
        if !self.body_runs(s) || self.setup.scopes[s].owned {
            return;
        }
        if !self.awaits(Opener::Body(s)) {
            let possible = |how: &&How| **how != How::AwaitedDead || self.other_dead(s, None);
            events.extend(self.setup.scopes[s].body.iter().filter(possible).map(|how| Event::Body(s, *how)));
        }
        if self.books[s].stopped {
            events.extend(self.drops(s).iter().map(|how| Event::Body(s, *how)));
        }
    }

    fn handle_choices(&self, s: usize, events: &mut Vec<Event>) {
        for (t, task) in self.books[s].tasks.iter().enumerate() {
            if task.handle == Handle::None || !self.body_runs(s) || self.awaits(Opener::Body(s)) {
                continue;
            }
            let failed = matches!(task.stage, Stage::Ended(how) if !how.failures().is_empty());
            if failed && task.handle == Handle::Held {
                events.extend(self.setup.scopes[s].claims.iter().map(|how| Event::Claim(s, t, *how)));
            }
            events.push(Event::Release(s, t));
        }
    }

    fn control_choices(&self, s: usize, events: &mut Vec<Event>) {
        let (book, setup) = (&self.books[s], &self.setup.scopes[s]);
        events.extend(setup.cancels.get(book.cancels).map(|reason| Event::Cancel(s, *reason)));
        self.end_choices(s, events);
        if book.body == Body::Running || book.tasks.iter().any(super::book::Task::alive) {
            events.extend(setup.deadlines.get(book.moves).map(|at| Event::SetDeadline(s, *at)));
        }
        let frame_polls = match setup.opener {
            Opener::Root => true,
            Opener::Body(p) => self.body_runs(p),
            Opener::Task(p, t) => self.books[p].tasks[t].stage == Stage::Running,
        };
        let body_drops = if book.body == Body::Running { self.drops(s) } else { &DROPPED };
        match book.place {
            Place::InItsFrame if frame_polls => {
                if setup.drop {
                    events.extend(body_drops.iter().map(|how| Event::DropFuture(s, *how)));
                }
                if setup.forget {
                    events.push(Event::ForgetFuture(s));
                }
            }
            Place::Forgotten if setup.opener == Opener::Root => events.push(Event::OpenerEnded(s)),
            Place::Orphaned if setup.drop => events.push(Event::DropFuture(s, How::Dropped)),
            _ => {}
        }
    }

    fn end_choices(&self, s: usize, events: &mut Vec<Event>) {
        let (book, setup) = (&self.books[s], &self.setup.scopes[s]);
        events.extend(setup.shut_downs.get(book.shut_downs).map(|grace| Event::ShutDown(s, *grace)));
        let runs = book.cancel.is_some() && !book.stopped && !book.drained;
        let runs = runs || book.stopping.is_some_and(|stopping| !stopping.dropped);
        if setup.cuts && runs && self.driven(s) {
            events.push(Event::CutGrace(s));
        }
        if self.shield_due(s) {
            events.push(Event::ShieldEnds(s));
        }
    }

    fn shield_due(&self, s: usize) -> bool {
        let book = &self.books[s];
        book.live() && self.is_shielded(s) && book.held_back.is_some_and(|at| at <= self.now)
    }

    fn teardown_choices(&self, s: usize, events: &mut Vec<Event>) {
        let (book, setup) = (&self.books[s], &self.setup.scopes[s]);
        let driven = self.driven(s);
        if driven && book.count == 0 && !book.drained {
            events.push(Event::Drained(s));
        }
        if setup.defer && book.registered == setup.finalizers && book.count > 0 {
            events.push(Event::Defer(s));
        }
        if setup.runtime_ends && book.drained {
            events.push(Event::RuntimeEnded(s));
        }
        if driven && book.finalizer.is_some() {
            events.extend(setup.finalizer_ends.iter().map(|how| Event::Finalizer(s, *how)));
        }
        if book.judging.is_some() {
            events.extend([Ruling::Continue, Ruling::Cancel, Ruling::Panic].map(|ruling| Event::Judge(s, ruling)));
        }
        if self.tick_due(s) {
            events.push(Event::Tick(s));
        }
    }

    pub(crate) fn tick_due(&self, s: usize) -> bool {
        let book = &self.books[s];
        let due = |at: std::time::Instant| at <= super::book::instant(self.now);
        let warning = self.setup.scopes[s].warn_after.and_then(|_| book.machine.get().next_warning());
        self.setup.timer && book.live() && self.driven(s) && (book.armed.is_some_and(due) || warning.is_some_and(due))
    }

    /// Time moves on only to the next timer, and never past one that has not been served.
    fn may_advance(&self) -> bool {
        if !self.setup.timer {
            return false;
        }
        let mut waits = false;
        for (s, book) in self.books.iter().enumerate().filter(|(s, book)| book.live() && self.driven(*s)) {
            if self.tick_due(s) || self.shield_due(s) {
                return false;
            }
            let warns = self.setup.scopes[s].warn_after.is_some() && book.machine.get().next_warning().is_some();
            waits |= book.held_back.is_some() && self.is_shielded(s);
            waits |= book.armed.is_some() || warns && self.now < self.setup.horizon;
        }
        waits
    }
}

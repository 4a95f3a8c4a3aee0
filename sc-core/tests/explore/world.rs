//! A world: the scopes, the binding that performs what they decide, and the code that runs in them.
//!
//! The binding does what the contract on `Scope` says and nothing else. Each event gives the scopes
//! their inputs, tells the oracle what happened, and performs the effects in the order of their
//! fields; what must hold at an effect is checked where the effect is performed.

use std::time::Instant;

use sc_core::{BodyEnd, CancelRequest, Cancelled, ChildId, ChildKind, End, Exit, Failure, Reason, Told, Watch};

use super::book::{Body, Book, Handle, Ordered, Place, Stage, deadline, instant, units};
use super::setup::{Opener, Setup};
use super::words::{Event, How, Tag, Violation, What, Who, ensure};

pub(crate) type Checked = Result<(), Violation>;

pub(crate) struct World<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) now: u32,
    pub(crate) books: Vec<Book>,
}

impl<'a> World<'a> {
    pub(crate) fn new(setup: &'a Setup) -> Result<Self, Violation> {
        let book = |(s, scope)| Book::new(s, scope, 0, setup.fault);
        let books = setup.scopes.iter().enumerate().map(book).collect();
        let mut world = Self { setup, now: 0, books };
        for s in 0..setup.scopes.len() {
            if !setup.scopes[s].late {
                world.open(s)?;
            }
        }
        for event in &setup.prologue {
            world.play(*event)?;
        }
        Ok(world)
    }

    pub(crate) fn instant(&self) -> Instant {
        instant(self.now)
    }

    /// Plays an event and checks the state after it.
    pub(crate) fn apply(&mut self, event: Event) -> Checked {
        self.play(event)?;
        self.check_state()
    }

    pub(crate) fn play(&mut self, event: Event) -> Checked {
        match event {
            Event::Open(s) => self.open(s)?,
            Event::Spawn(s, t) => self.spawn(s, t)?,
            Event::Start(s, t) => self.books[s].tasks[t].stage = Stage::Running,
            Event::Exit(s, t, how) => self.exit(s, t, how)?,
            Event::StopFromInside(s, t) => self.books[s].tasks[t].told_by_handle = true,
            Event::Body(s, how) => self.end_body(s, how)?,
            Event::Drained(s) => {
                self.books[s].drained = true;
                let effects = self.books[s].machine.drained(instant(self.now));
                self.perform(s, effects)?;
            }
            Event::Cancel(s, reason) => {
                self.books[s].cancels += 1;
                self.order_cancel(s, reason);
                let effects = self.books[s].machine.cancel(CancelRequest::because(reason), instant(self.now));
                self.perform(s, effects)?;
            }
            Event::SetDeadline(s, at) => self.set_deadline(s, at)?,
            Event::Ready(s, t) => self.books[s].tasks[t].ready = true,
            Event::ShutDown(s, grace) => self.shut_down(s, grace)?,
            Event::CutGrace(s) => self.cut_grace(s)?,
            Event::ShieldEnds(s) => self.end_shield(s)?,
            Event::DropFuture(s, how) => self.drop_future(s, how)?,
            Event::ForgetFuture(s) => self.books[s].place = Place::Forgotten,
            Event::OpenerEnded(s) => self.end_opener(s)?,
            Event::Defer(s) => self.defer(s)?,
            Event::Finalizer(s, how) => self.end_finalizer(s, how)?,
            Event::Judge(s, ruling) => self.judge(s, ruling)?,
            Event::Claim(s, t, how) => self.claim(s, t, how)?,
            Event::Release(s, t) => self.release(s, t)?,
            Event::RuntimeEnded(s) => self.end_runtime(s)?,
            Event::Tick(s) => self.tick(s)?,
            Event::Advance => self.now += 1,
        }
        Ok(())
    }

    /// Tells the oracle that the scope is to be cancelled by itself, unless it is already.
    pub(crate) fn order_cancel(&mut self, s: usize, reason: Reason) {
        let stop_at = self.now + self.books[s].grace.unwrap_or(0);
        let ordered = Ordered { reason, origin: s, inherited: false, stop_at };
        self.books[s].order_cancel(ordered, self.now);
    }

    fn open(&mut self, s: usize) -> Checked {
        let setup = &self.setup.scopes[s];
        self.books[s] = Book::new(s, setup, self.now, self.setup.fault);
        self.books[s].opened = true;
        if let Some(p) = setup.opener.parent() {
            self.books[p].count += 1;
            if setup.shield.is_none() {
                let outer = self.books[p].machine.get().deadline().cloned();
                let effects = self.books[s].machine.inherit_deadline(outer);
                self.perform(s, effects)?;
            }
            if let Some(cancelled) = self.books[p].machine.get().cancelled().cloned() {
                self.hand_down(p, s, &cancelled)?;
            }
        }
        self.books[s].armed = self.books[s].machine.get().next_timer();
        for _ in 0..setup.finalizers {
            self.defer(s)?;
        }
        for t in 0..setup.tasks.len() {
            if !setup.tasks[t].late {
                self.spawn(s, t)?;
            }
        }
        Ok(())
    }

    fn spawn(&mut self, s: usize, t: usize) -> Checked {
        let setup = &self.setup.scopes[s].tasks[t];
        let book = &mut self.books[s];
        // That of an isolated child, whatever becomes of it.
        let handle_of = ChildKind { isolated: setup.kind.isolated || setup.starts, ..setup.kind };
        let id = ChildId::new(t as u64);
        let admitted = if setup.kind.daemon {
            let admitted = book.machine.admit_daemon(id, setup.grace.map(units));
            let open = book.cancel.is_none() && !book.drained;
            ensure!(admitted == open, "P7", "daemon {t} admitted: {admitted}, scope open: {open}");
            admitted
        } else {
            book.count > 0 && !book.refusing
        };
        if !admitted {
            book.tasks[t].stage = Stage::Refused;
            book.refused += 1;
            book.cut_short |= book.cancel.is_some();
            book.machine.note_refused();
            return Ok(());
        }
        ensure!(book.cancel.is_none(), "P7", "task {t} was admitted to a cancelled scope");
        ensure!(!book.drained, "P7", "task {t} was admitted to a drained scope");
        book.count += u32::from(!setup.kind.daemon);
        book.spawned += 1;
        book.tasks[t].stage = if setup.lazy { Stage::Ready } else { Stage::Running };
        if setup.handle && book.body == Body::Running && book.machine.get().handles_matter(handle_of) {
            book.machine.expect_claim(id);
            book.tasks[t].handle = Handle::Held;
        }
        Ok(())
    }

    fn defer(&mut self, s: usize) -> Checked {
        let book = &mut self.books[s];
        ensure!(book.machine.admit_finalizer(), "P10", "a finalizer was refused before finalizers began to run");
        book.finalizers.push(book.registered);
        book.registered += 1;
        Ok(())
    }

    fn inject(&mut self, s: usize, who: Who, what: What) -> Tag {
        let tag = Tag::new(s, who, what);
        let fresh = self.books[s].injected.insert(tag);
        assert!(fresh, "the model injects {tag:?} twice");
        tag
    }

    /// What was injected for this end: code's failure, destructor's panic, and the first by rank.
    fn inject_all(&mut self, s: usize, who: Who, how: How) -> (Option<Tag>, Option<Tag>, Option<Tag>) {
        let first = how.failures().first().map(|what| Tag::new(s, who, *what));
        let code = how.code().map(|what| self.inject(s, who, what));
        let destructor = how.destructor().then(|| self.inject(s, who, What::Destructor));
        (code, destructor, first)
    }

    fn exit(&mut self, s: usize, t: usize, how: How) -> Checked {
        let kind = self.kind_at_exit(s, t);
        let told = self.books[s].told(t, kind.daemon);
        if matches!(how, How::Dropped | How::DroppedDtor) {
            self.tell_opened(s, t)?;
        }
        self.books[s].tasks[t].stage = Stage::Ended(how);
        self.end_frame(Opener::Task(s, t))?;
        let (code, destructor, first) = self.inject_all(s, Who::Task(t), how);
        self.order_after_exit(s, t, how, told, first);
        let end = match (how, code) {
            (_, Some(tag)) => End::Failed(tag.failure()),
            (How::Dropped | How::DroppedDtor, _) if told == Told::FromInside => End::Stopped,
            (How::Dropped | How::DroppedDtor, _) => End::Cut,
            (How::TimedOut, _) => End::Failed(Failure::Cancelled(self.notice_of_deadline(s, t)?)),
            (How::AwaitedDead, _) => End::AwaitedDead,
            (How::RuntimeEnded, _) => End::RuntimeEnded,
            _ => End::Value,
        };
        let book = &mut self.books[s];
        if how != How::Ok || kind.daemon || book.machine.get().watches_successes() {
            let exit = Exit { end, destructor: destructor.map(Tag::panic), told };
            let now = instant(self.now);
            let daemon_done = book.stopping.is_some_and(|stopping| stopping.task == t);
            book.stopping = book.stopping.filter(|_| !daemon_done);
            let effects = book.machine.child_exited(ChildId::new(t as u64), kind, exit, now);
            self.perform(s, effects)?;
        }
        self.books[s].count -= u32::from(!kind.daemon);
        Ok(())
    }

    /// What the promises make of a child's exit (P5).
    fn order_after_exit(&mut self, s: usize, t: usize, how: How, told: Told, first: Option<Tag>) {
        let ChildKind { daemon: _, isolated } = self.kind_at_exit(s, t);
        let watch = self.setup.scopes[s].watch;
        let book = &mut self.books[s];
        let before = book.cancel.is_none();
        let own = told != Told::FromInside;
        let failed = how.fails() || how == How::AwaitedDead && before;
        let dropped = matches!(how, How::Dropped | How::DroppedDtor | How::AwaitedDead) && !before;
        book.cut_short |= own && (dropped || how.fails() && !before && !isolated);
        book.cut_short |= how == How::RuntimeEnded;
        let judged = match watch {
            Watch::Failures => failed,
            Watch::All => true,
            _ => false,
        };
        let secondary = told != Told::Nobody;
        if judged && before && !isolated && (!failed || !secondary) {
            book.to_judge.push_back((t, failed, first));
        } else if failed && watch == Watch::FailFast && before && !isolated && !secondary {
            book.order_primary(first);
            book.cut_short |= first.is_none();
            self.order_cancel(s, if first.is_some() { Reason::ChildFailed } else { untagged(how) });
        }
        if how == How::RuntimeEnded {
            self.order_cancel(s, Reason::RuntimeEnded);
        }
    }

    pub(crate) fn end_body(&mut self, s: usize, how: How) -> Checked {
        self.end_frame(Opener::Body(s))?;
        let (code, destructor, first) = self.inject_all(s, Who::Body, how);
        let end = match (how, code) {
            (_, Some(tag)) => BodyEnd::Failed(tag.failure()),
            (How::Dropped | How::DroppedDtor, _) => BodyEnd::Cut,
            (How::AwaitedDead, _) => BodyEnd::AwaitedDead,
            _ => BodyEnd::Value,
        };
        self.end_body_with(s, end, destructor, first)
    }

    pub(crate) fn end_body_with(
        &mut self,
        s: usize,
        end: BodyEnd<Tag>,
        destructor: Option<Tag>,
        first: Option<Tag>,
    ) -> Checked {
        let book = &mut self.books[s];
        book.body = if matches!(end, BodyEnd::Value) { Body::Value } else { Body::Ended };
        let cut = matches!(end, BodyEnd::Cut | BodyEnd::AwaitedDead);
        book.cut_short |= cut || book.cancel.is_some() && first.is_some();
        book.order_primary(first);
        match (first, matches!(end, BodyEnd::AwaitedDead)) {
            (Some(_), _) => self.order_cancel(s, Reason::ChildFailed),
            (None, true) => self.order_cancel(s, Reason::AwaitedChild),
            (None, false) => {}
        }
        let is_plain = matches!(end, BodyEnd::Value) && destructor.is_none();
        if is_plain && self.books[s].count == 1 && !self.setup.scopes[s].owned && self.end_alone(s)? {
            return Ok(());
        }
        let book = &mut self.books[s];
        book.waiting_since = book.waiting_since.or(Some(self.now));
        let effects = book.machine.body_ended(end, destructor.map(Tag::panic), instant(self.now));
        self.perform(s, effects)?;
        self.body_is_gone(s)
    }

    /// The driver's short way out, for a body that was the last: its handles are gone before it is tried.
    fn end_alone(&mut self, s: usize) -> Result<bool, Violation> {
        for t in 0..self.books[s].tasks.len() {
            self.release(s, t)?;
        }
        let Some(effects) = self.books[s].machine.ended_alone(instant(self.now)) else { return Ok(false) };
        self.books[s].count -= 1;
        self.books[s].drained = true;
        self.perform(s, effects)?;
        Ok(true)
    }

    /// The body's handles go with it, and its share of the count.
    fn body_is_gone(&mut self, s: usize) -> Checked {
        for t in 0..self.books[s].tasks.len() {
            self.release(s, t)?;
        }
        self.books[s].count -= 1;
        Ok(())
    }

    /// A frame was dropped: the futures in it too, and the scopes it forgot are orphans (P3).
    fn end_frame(&mut self, frame: Opener) -> Checked {
        for s in 0..self.books.len() {
            if self.setup.scopes[s].opener == frame && self.books[s].live() {
                match self.books[s].place {
                    Place::InItsFrame => self.drop_future(s, How::Dropped)?,
                    Place::Forgotten => self.end_opener(s)?,
                    Place::Dropped | Place::Orphaned => {}
                }
            }
        }
        Ok(())
    }

    fn drop_future(&mut self, s: usize, how: How) -> Checked {
        let first = self.books[s].place == Place::InItsFrame;
        let ran = self.books[s].body == Body::Running;
        self.books[s].place = Place::Dropped;
        self.order_gone(s, Reason::ScopeDropped);
        if ran {
            self.books[s].body = Body::Ended;
        }
        let effects = self.books[s].machine.future_dropped(instant(self.now));
        ensure!(effects.adopt == first, "P3", "future dropped, adopt: {}, to be adopted: {first}", effects.adopt);
        self.perform(s, effects)?;
        if ran {
            self.end_frame(Opener::Body(s))?;
            self.body_is_gone(s)?;
        }
        if self.setup.fault == Some(super::machine::Fault::CountReleasedWithTheFuture) {
            if let Some(p) = self.setup.scopes[s].opener.parent() {
                self.books[p].count -= 1;
            }
        }
        if how == How::DroppedDtor {
            let tag = self.inject(s, Who::Body, What::Destructor);
            self.books[s].order_primary(Some(tag));
            let record = sc_core::FailureRecord { member: tag.member(), failure: tag.failure() };
            let effects = self.books[s].machine.failed(record, instant(self.now));
            self.perform(s, effects)?;
        }
        Ok(())
    }

    fn end_opener(&mut self, s: usize) -> Checked {
        self.books[s].place = Place::Orphaned;
        self.order_gone(s, Reason::OpenerEnded);
        let effects = self.books[s].machine.opener_ended(instant(self.now));
        ensure!(effects.adopt, "P3", "the opener ended and nobody was asked to adopt the scope");
        let ran = self.books[s].body == Body::Running;
        if ran {
            self.books[s].body = Body::Ended;
        }
        self.perform(s, effects)?;
        if ran {
            // What the abandoned body holds, handles included, is never dropped. Scopes that it
            // opened have lost their opener as well.
            self.books[s].count -= 1;
            for n in 0..self.books.len() {
                let orphan = matches!(self.books[n].place, Place::InItsFrame | Place::Forgotten);
                if self.setup.scopes[n].opener == Opener::Body(s) && self.books[n].live() && orphan {
                    self.end_opener(n)?;
                }
            }
        }
        Ok(())
    }

    /// A scope whose future is gone has nobody to give its value to: it has been cut short, unless
    /// its finalizers have been told otherwise already.
    fn order_gone(&mut self, s: usize, reason: Reason) {
        self.order_cancel(s, reason);
        self.books[s].cut_short |= !self.books[s].finalizing;
    }

    fn end_finalizer(&mut self, s: usize, how: How) -> Checked {
        let Some(n) = self.books[s].finalizer.take() else { return Ok(()) };
        let (code, _, _) = self.inject_all(s, Who::Finalizer(n), how);
        self.books[s].order_primary(code);
        let failure: Option<Failure<Tag>> = code.map(Tag::failure);
        let effects = self.books[s].machine.finalizer_ended(failure, instant(self.now));
        self.perform(s, effects)
    }

    /// The runtime drops what is left: daemons end, finalizers are dropped unrun and reported (P10).
    fn end_runtime(&mut self, s: usize) -> Checked {
        for t in 0..self.books[s].tasks.len() {
            if self.books[s].tasks[t].alive() {
                self.exit(s, t, How::RuntimeEnded)?;
            }
        }
        let book = &mut self.books[s];
        let expected = book.finalizers.len() + usize::from(book.finalizer.is_some());
        book.finalizers.clear();
        book.finalizer = None;
        let (unrun, effects) = book.machine.runtime_ended(instant(self.now));
        ensure!(unrun == expected, "P10", "{unrun} finalizers are reported unrun, {expected} are");
        ensure!(effects.closed || book.closed, "P10", "the runtime ended and the scope does not close");
        self.perform(s, effects)
    }

    fn set_deadline(&mut self, s: usize, at: Option<u32>) -> Checked {
        let expired = self.effective_deadline(s).is_some_and(|(at, _)| at <= self.now);
        let book = &mut self.books[s];
        book.moves += 1;
        let may = !expired && book.cancel.is_none();
        let (moved, effects) = book.machine.set_deadline(at.map(|at| deadline(s, at)), instant(self.now));
        ensure!(moved == may, "P8", "set_deadline said {moved}, the deadline may be moved: {may}");
        if moved {
            book.deadline = at;
        }
        self.perform(s, effects)
    }

    fn tick(&mut self, s: usize) -> Checked {
        if let Some((at, owner)) = self.effective_deadline(s) {
            if at <= self.now && owner == s && !self.books[s].drained {
                self.order_cancel(s, Reason::Deadline);
            }
        }
        let effects = self.books[s].machine.tick(instant(self.now));
        self.perform(s, effects)?;
        self.books[s].armed = self.books[s].machine.get().next_timer();
        Ok(())
    }

    /// The deadline that holds for a scope and whose it is: the outermost of equals (P8).
    pub(crate) fn effective_deadline(&self, s: usize) -> Option<(u32, usize)> {
        let outer = match (self.setup.scopes[s].opener.parent(), self.setup.scopes[s].shield) {
            (Some(p), None) => self.effective_deadline(p),
            (Some(p), Some(_)) => self.end_of_shield(p, s),
            (None, _) => None,
        };
        let own = self.books[s].deadline.map(|at| (at, s));
        match (outer, own) {
            (Some(outer), Some(own)) => Some(if own.0 < outer.0 { own } else { outer }),
            (outer, own) => outer.or(own),
        }
    }

    /// Hands a cancellation down (P6); the instant of the stop goes with it (P9).
    pub(crate) fn inherit(&mut self, p: usize, s: usize, cancelled: &Cancelled) -> Checked {
        if let Some(outer) = self.books[p].cancel {
            let stop_at = self.books[s].grace.map_or(outer.stop_at, |grace| self.now + grace);
            self.books[s].order_cancel(Ordered { inherited: true, stop_at, ..outer }, self.now);
        }
        let stop_at = self.books[p].machine.get().stop_at();
        let effects = self.books[s].machine.inherit(cancelled, stop_at, instant(self.now));
        self.perform(s, effects)
    }
}

/// Why a scope is cancelled by a failure that is no error and no panic.
pub(crate) fn untagged(how: How) -> Reason {
    if how == How::TimedOut { Reason::Deadline } else { Reason::AwaitedChild }
}

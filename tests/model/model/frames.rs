//! What a frame does when it is its turn: acts, uses handles, ends.

use super::*;

impl<'p> World<'p> {
    /// When a frame is dropped that no shield holds.
    pub(super) fn falls_at(&self, frame: usize) -> Option<At> {
        self.stops_at(frame).filter(|_| self.is_live(frame) && !self.is_shielded(frame))
    }

    pub(super) fn drop_somebody(&mut self) -> bool {
        let due = |frame: &usize| self.falls_at(*frame) == Some(self.now);
        let queued = |frame: &usize| {
            self.frames[*frame].seat == Seat::Queued && self.is_live(*frame) && self.told(*frame) != Told::Nobody
        };
        let Some(frame) = (0..self.frames.len()).find(|frame| due(frame) || queued(frame)) else { return false };
        self.end(frame, Ending::Dropped);
        true
    }

    /// Those that a shield has held learn it in the poll in which that ends, from the inside out.
    pub(super) fn drop_somebody_late(&mut self) -> bool {
        let overdue = |frame: &usize| self.falls_at(*frame).is_some_and(|at| at < self.now);
        let Some(frame) = (0..self.frames.len()).rfind(overdue) else { return false };
        self.end(frame, Ending::Dropped);
        true
    }

    /// Gives a frame what it waits for.
    pub(super) fn answer_somebody(&mut self) -> bool {
        for frame in 0..self.frames.len() {
            match self.frames[frame].doing.clone() {
                Doing::Awaiting(child) | Doing::Joining(child) | Doing::Stopping(child) if !self.is_live(child) => {
                    self.answer(frame, child);
                    return true;
                }
                Doing::AwaitingTask(child) if !self.is_live(child) => {
                    self.answer_ambient(frame, child);
                    return true;
                }
                Doing::Acquiring(child, resource) if !self.is_live(child) => {
                    self.answer_acquisition(frame, child, resource);
                    return true;
                }
                Doing::Reserving(task) if self.answer_reservation(frame, task) => return true,
                Doing::Starting(child, _) if self.answer_start(frame, child) => return true,
                Doing::Inside(scope, then)
                    if self.scopes[scope].closed.is_some() && self.leave_scope(frame, scope, then) =>
                {
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    pub(super) fn take_a_step(&mut self) -> bool {
        (0..self.scopes.len()).any(|scope| self.teardown(scope))
    }

    // Frames.

    pub(super) fn begin(&mut self, frame: Frame<'p>) -> usize {
        self.frames.push(frame);
        self.begin_code(self.frames.len() - 1)
    }

    pub(super) fn begin_code(&mut self, frame: usize) -> usize {
        if let Some(code) = self.frames[frame].code {
            self.log(Entry::Began(code.id));
            self.go_on(frame);
        }
        frame
    }

    /// Sleeps before the next step.
    pub(super) fn go_on(&mut self, frame: usize) {
        let now = self.now;
        let Frame { code, next, doing, .. } = &mut self.frames[frame];
        let code = code.expect("what has no code waits for a scope");
        let span = code.steps.get(*next).map_or(code.last, |step| step.sleep);
        *doing = Doing::Sleeping(now + span.ms);
    }

    pub(super) fn act(&mut self, frame: usize) {
        let Frame { code, next, here, .. } = &mut self.frames[frame];
        let (code, here) = (code.expect("it sleeps"), *here);
        let Some(step) = code.steps.get(*next) else {
            let ending = match code.end {
                End::Value => Ending::Value,
                End::Error => Ending::Failed(Seen::Error(Raised::By(code.id))),
                End::Panic => Ending::Failed(Seen::Panic(code.id)),
            };
            return self.end(frame, ending);
        };
        *next += 1;
        match (&step.act, here) {
            (Act::Spawn(task), Some(scope)) => {
                let child = self.spawn(frame, scope, task);
                self.frames[frame].handles.push(child);
            }
            (Act::Reserve(task), Some(scope)) if self.is_body_of(frame, scope) => {
                return self.reserve(frame, scope, task);
            }
            (Act::Start(task, patience), Some(scope)) => return self.start(frame, scope, task, *patience),
            (Act::Signal, _) => self.signal(frame),
            (
                Act::Await(which)
                | Act::Join(which)
                | Act::Stop(which, _)
                | Act::DropHandle(which)
                | Act::ForgetHandle(which),
                _,
            ) => {
                return self.use_handle(frame, *which, &step.act);
            }
            (Act::Cancel, Some(scope)) => {
                self.seen("cancel");
                self.cancel(scope, "Requested", false, self.now);
            }
            (Act::CancelChildren, Some(scope)) => self.cancel_children(scope),
            (Act::Defer(finalizer), Some(scope)) => self.scopes[scope].finalizers.push(finalizer),
            (Act::Reserve(_), _)
            | (
                Act::Spawn(_) | Act::Start(..) | Act::Cancel | Act::CancelChildren | Act::Defer(_) | Act::Resource(_),
                None,
            ) => {}
            (Act::Nest(scope), _) => return self.enter(frame, scope, Then::Outcome),
            (Act::NestDropped(scope, after), _) => {
                return self.enter(frame, scope, Then::DroppedAt(self.now + after.ms));
            }
            (Act::Resource(resource), Some(scope)) => return self.acquire(frame, scope, resource),
            (Act::Ambient(task), _) => self.spawn_ambient(frame, task),
            (Act::JoinAmbient(which), _) => return self.join_ambient(frame, *which),
            (Act::Abort(which), _) => self.abort(frame, *which),
            (Act::Group(group), _) => return self.join(frame, group),
            (Act::Shield(shield), here) => return self.shield(frame, here, shield),
            (Act::NestForgotten(scope, after), _) => {
                return self.enter(frame, scope, Then::ForgottenAt(self.now + after.ms));
            }
            (Act::NestTried(scope, after), _) => return self.enter(frame, scope, Then::Try(after.ms)),
        }
        self.go_on(frame);
    }

    pub(super) fn use_handle(&mut self, frame: usize, which: u8, act: &Act) {
        let handles = &mut self.frames[frame].handles;
        if handles.is_empty() {
            return self.go_on(frame);
        }
        let child = handles.remove(usize::from(which) % handles.len());
        match act {
            Act::Await(_) => self.frames[frame].doing = Doing::Awaiting(child),
            Act::Join(_) => self.frames[frame].doing = Doing::Joining(child),
            Act::Stop(_, waits) => {
                self.stop(child, "Requested");
                if *waits {
                    self.frames[frame].doing = Doing::Stopping(child);
                } else {
                    self.drop_handle(child);
                    self.saw(frame, child, Seen::Stopped);
                    self.go_on(frame);
                }
            }
            Act::ForgetHandle(_) => {
                self.seen("a handle forgotten");
                self.leak_handle(child);
                self.go_on(frame);
            }
            _ => {
                self.drop_handle(child);
                self.go_on(frame);
            }
        }
    }

    pub(super) fn spawn(&mut self, spawner: usize, scope: usize, task: &'p Task) -> usize {
        let is_borrowed = task.kind == Kind::Borrowed && self.is_body_of(spawner, scope);
        let seat = self.queue_up(scope, task);
        self.spawn_as(scope, task, Readiness::Spawned, is_borrowed, seat)
    }

    pub(super) fn is_body_of(&self, frame: usize, scope: usize) -> bool {
        self.frames[frame].task.is_none() && self.frames[frame].scope == scope
    }

    pub(super) fn spawn_as(
        &mut self,
        scope: usize,
        task: &'p Task,
        start: Readiness,
        borrowed: bool,
        seat: Seat,
    ) -> usize {
        let is_wrapped = task.timeout.is_some() || task.shielded.is_some();
        let here = (task.kind == Kind::With).then_some(scope);
        let mut child = Frame {
            code: (!is_wrapped).then_some(&task.code),
            scope,
            here,
            task: Some(task),
            borrowed,
            next: 0,
            doing: Doing::NotBegun,
            handles: Vec::new(),
            stop: None,
            has_handle: true,
            handle_leaked: false,
            start,
            seat,
            release: None,
            leases: Vec::new(),
            tasks: Vec::new(),
            output: None,
            unclaimed: None,
        };
        if self.scopes[scope].cancelled.is_some() || self.scopes[scope].drained {
            // P7
            self.seen("a child refused");
            self.scopes[scope].counts[REFUSED] += 1;
            self.scopes[scope].cut_short |= self.scopes[scope].cancelled.is_some();
            child.doing = Doing::Ended(Exit::Cancelled(None));
            self.frames.push(child);
            return self.frames.len() - 1;
        }
        self.scopes[scope].counts[SPAWNED] += 1;
        let kind = match start {
            Readiness::Spawned if child.borrowed => "borrowed",
            Readiness::Spawned => "spawned",
            _ => "started",
        };
        self.seen(format!("{kind} {:?}{}", task.kind, if task.isolated { " isolated" } else { "" }));
        if seat == Seat::Queued {
            self.seen("a child queued");
            self.frames.push(child);
            return self.enqueue(scope);
        }
        let child = self.begin(child);
        let mut inside = child;
        if let Some(limit) = task.shielded {
            inside = self.shield_whole(child, here, task, limit);
        }
        if let Some(timeout) = task.timeout {
            self.bound(inside, scope, here, task, timeout);
        }
        child
    }

    /// The code of a child with a deadline runs in a scope of its own.
    pub(super) fn bound(&mut self, frame: usize, scope: usize, here: Option<usize>, task: &'p Task, timeout: Span) {
        self.seen("a child's own deadline");
        let grace = task.grace.map(|span| span.ms).or(self.scopes[scope].settings.grace);
        let body = Some(&task.code);
        let timeout = Some(timeout.ms);
        let settings = Settings {
            id: None,
            supervise: false,
            timeout,
            grace,
            finalizer_timeout: 0,
            shield: None,
            limit: None,
            body,
        };
        let inner = self.open(settings, Some(frame), here);
        self.frames[frame].doing = Doing::Inside(inner, Then::Forward);
    }

    pub(super) fn told(&self, frame: usize) -> Told {
        let Frame { scope, stop, .. } = &self.frames[frame];
        let scope = &self.scopes[*scope];
        match (stop, self.is_daemon(frame)) {
            (Some(_), _) => Told::FromInside,
            (None, true) if scope.turn.is_some_and(|(daemon, _)| daemon == frame) => Told::FromInside,
            (None, false) if scope.cancelled.is_some() => Told::ByScope,
            (None, _) => Told::Nobody,
        }
    }

    /// A frame ends and is dropped, with what it has open.
    pub(super) fn end(&mut self, frame: usize, ending: Ending) {
        let told = self.told(frame);
        let exit = match &ending {
            Ending::Value => Exit::Value,
            Ending::Failed(_) | Ending::AwaitedDead(Some(_)) => Exit::Failed,
            Ending::AwaitedDead(None) => Exit::AwaitedDead,
            Ending::Dropped => Exit::Cancelled(self.reason_from_inside(frame)),
        };
        let inside = match std::mem::replace(&mut self.frames[frame].doing, Doing::Ended(exit)) {
            Doing::Inside(scope, _) => Some(scope),
            Doing::Awaiting(child) | Doing::Joining(child) | Doing::Stopping(child) | Doing::Acquiring(child, _) => {
                self.drop_handle(child);
                None
            }
            Doing::Starting(child, _) => {
                self.give_up(child);
                None
            }
            Doing::Reserving(_) => {
                self.unreserve(frame);
                None
            }
            _ => None,
        };
        if let Some(scope) = inside {
            self.drop_future(scope);
        }
        if let Some(code) = self.frames[frame].code.filter(|_| self.frames[frame].seat != Seat::Queued) {
            let how = match &ending {
                Ending::Value => How::Value,
                Ending::Failed(Seen::Panic(_)) => How::Panic,
                Ending::Failed(_) => How::Error,
                Ending::Dropped | Ending::AwaitedDead(_) => How::Dropped,
            };
            self.log(Entry::Ended(code.id, how));
        }
        for child in std::mem::take(&mut self.frames[frame].handles) {
            self.drop_handle(child);
        }
        self.end_opened(frame);
        let ending = self.hand_in(frame, ending);
        self.register_release(frame);
        let ending = self.keep_output(frame, ending);
        self.leak_output(frame);
        let scope = self.frames[frame].scope;
        if self.frames[frame].task.is_some() {
            self.record_exit(frame, scope, told, ending);
            self.leave_seat(frame);
        } else if !self.scopes[scope].future_gone {
            let ending = self.carry(scope, ending);
            self.record_body(scope, ending);
        } else {
            self.scopes[scope].body_ended = true;
        }
    }

    pub(super) fn reason_from_inside(&self, frame: usize) -> Option<String> {
        if let Some((reason, ..)) = &self.frames[frame].stop {
            return Some(reason.clone());
        }
        let scope = &self.scopes[self.frames[frame].scope];
        let in_turn = scope.turn.is_some_and(|(daemon, _)| daemon == frame);
        in_turn.then(|| scope.reason_or("WorkDone"))
    }

    // Handles.

    pub(super) fn saw(&mut self, frame: usize, child: usize, what: Seen) {
        let id = self.frames[frame].code.expect("it waits for a child").id;
        let child = self.frames[child].task.expect("handles are of children").code.id;
        self.log(Entry::Saw { frame: id, child, what });
    }

    /// What the handle of an ended child gives, and takes.
    pub(super) fn claim(&mut self, child: usize) -> Seen {
        let scope = self.frames[child].scope;
        let exit = match &self.frames[child].doing {
            Doing::Ended(exit) => exit.clone(),
            _ => unreachable!("the child has ended"),
        };
        let unclaimed = self.frames[child].unclaimed.take();
        match exit {
            Exit::Value => Seen::Value,
            Exit::Failed => unclaimed.unwrap_or(Seen::Owned),
            Exit::Cancelled(Some(reason)) => Seen::Cancelled(reason),
            Exit::Cancelled(None) => Seen::Cancelled(self.scopes[scope].reason_or("RuntimeEnded")),
            Exit::AwaitedDead => unclaimed.unwrap_or(Seen::Cancelled(self.scopes[scope].reason_or("AwaitedChild"))),
        }
    }

    pub(super) fn answer(&mut self, frame: usize, child: usize) {
        let doing = self.frames[frame].doing.clone();
        if matches!(doing, Doing::Stopping(_)) {
            self.seen("stopped and waited for");
            self.drop_handle(child);
            self.saw(frame, child, Seen::Stopped);
            return self.go_on(frame);
        }
        let what = self.claim(child);
        self.frames[child].has_handle = false;
        if matches!(doing, Doing::Joining(_)) {
            self.seen(match &what {
                Seen::Value => "joined a value",
                Seen::Owned => "joined what the scope owns",
                Seen::Cancelled(_) => "joined a cancellation",
                _ => "joined a failure",
            });
            self.saw(frame, child, what);
            return self.go_on(frame);
        }
        match what {
            Seen::Value => {
                self.seen("awaited a value");
                self.saw(frame, child, Seen::Value);
                self.go_on(frame);
            }
            // "I need it; if it failed, this block ends with its failure."
            failure => {
                self.seen("awaited a dead child");
                let failure = Some(failure).filter(|failure| matches!(failure, Seen::Error(_) | Seen::Panic(_)));
                let owner = self.frames[child].scope;
                if self.frames[frame].scope == owner {
                    self.end(frame, Ending::AwaitedDead(failure));
                } else {
                    // The frame is of another scope: the error stays with its owner.
                    self.scopes[owner].further.extend(failure);
                    self.end(frame, Ending::AwaitedDead(None));
                }
            }
        }
    }

    /// A failure that its handle left unread goes to the further failures (P4).
    pub(super) fn drop_handle(&mut self, child: usize) {
        self.frames[child].has_handle = false;
        let scope = self.frames[child].scope;
        if let Some(failure) = self.frames[child].unclaimed.take() {
            self.seen("a failure left unread");
            self.scopes[scope].further.push(failure);
        }
    }

    // Stopping.

    /// Stops a child from inside. The first to tell it wins (P6).
    pub(super) fn stop(&mut self, child: usize, reason: &str) {
        if !self.is_live(child) || self.told(child) != Told::Nobody {
            return;
        }
        self.seen("a child stopped from inside");
        let grace = self.own_grace(child).or(self.scopes[self.frames[child].scope].settings.grace);
        let at = self.now + grace.unwrap_or(0);
        self.frames[child].stop = Some((reason.to_owned(), at, self.now));
        for scope in self.opened_by(child) {
            self.hand_down(scope, reason, at, self.now);
        }
    }
}

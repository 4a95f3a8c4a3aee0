//! What a scope does: opens, is cancelled, records, is torn down.

use super::*;

impl<'p> World<'p> {
    pub(super) fn cancel_children(&mut self, scope: usize) {
        self.seen("cancel_children");
        for child in self.members(scope) {
            if self.frames[child].task.is_some() {
                self.stop(child, "Requested");
            }
        }
    }

    /// Cancels a scope and what is below. The first reason wins (P6).
    pub(super) fn cancel(&mut self, scope: usize, reason: &str, inherited: bool, stop_at: At) {
        let now = self.now;
        let state = &mut self.scopes[scope];
        if state.cancelled.is_some() || state.closed.is_some() || state.finalizing.is_some() {
            return;
        }
        state.cancelled = Some((reason.to_owned(), inherited));
        (state.cancelled_at, state.since) = (now, now);
        state.stop_at = state.settings.grace.map_or(stop_at, |grace| now + grace);
        let has_grace = state.stop_at > now;
        if has_grace {
            self.seen("a cancellation with grace");
        }
        for member in self.members(scope) {
            // A daemon has its turn later.
            if self.is_daemon(member) {
                continue;
            }
            // What is forgotten has no grace of its own.
            let until = self.stops_at(member).unwrap_or(self.scopes[scope].stop_at);
            for below in self.opened_by(member) {
                self.hand_down(below, reason, until, now);
            }
        }
    }

    // Scopes.

    pub(super) fn enter(&mut self, frame: usize, scope: &'p Scope, then: Then) {
        let scope = self.open(Settings::of(scope), Some(frame), None);
        self.frames[frame].doing = Doing::Inside(scope, then);
    }

    /// Opens a scope. Its body spawns into it, or into `here`.
    pub(super) fn open(&mut self, settings: Settings<'p>, opener: Option<usize>, here: Option<usize>) -> usize {
        let scope = self.scopes.len();
        self.scopes.push(ScopeState {
            settings,
            opener,
            opened_at: self.now,
            body: usize::MAX,
            body_ended: false,
            value: false,
            late: None,
            future_gone: false,
            forgotten: false,
            cancelled: None,
            cancelled_at: 0,
            since: 0,
            pending: None,
            awaited_dead: false,
            join: None,
            unshielded: false,
            carried: None,
            stop_at: 0,
            cut_short: false,
            primary: None,
            further: Vec::new(),
            counts: [0; 6],
            drained: false,
            turn: None,
            turn_since: 0,
            finalizers: Vec::new(),
            finalizing: None,
            closed: None,
        });
        let here = if settings.id.is_some() { Some(scope) } else { here };
        let body = Frame {
            code: settings.body,
            scope,
            here,
            task: None,
            borrowed: false,
            next: 0,
            doing: Doing::NotBegun,
            handles: Vec::new(),
            stop: None,
            has_handle: false,
            handle_leaked: false,
            start: Readiness::Spawned,
            seat: Seat::Unneeded,
            release: None,
            leases: Vec::new(),
            tasks: Vec::new(),
            output: None,
            unclaimed: None,
        };
        self.scopes[scope].body = self.begin(body);
        if let Some(opener) = opener {
            self.inherit(scope, opener);
        }
        scope
    }

    /// A scope that is opened in a grace is cancelled from the start.
    pub(super) fn inherit(&mut self, scope: usize, opener: usize) {
        let Some(until) = self.stops_at(opener) else { return };
        let outer = self.frames[opener].scope;
        let reason = self.reason_from_inside(opener).unwrap_or_else(|| self.scopes[outer].reason_or(""));
        self.seen("a scope opened in a grace");
        let since = self.told_since(opener);
        self.hand_down(scope, &reason, until, since);
    }

    /// The future of a scope is dropped (P3).
    pub(super) fn drop_future(&mut self, scope: usize) {
        let state = &mut self.scopes[scope];
        if state.closed.is_some() || state.future_gone {
            return;
        }
        state.future_gone = true;
        state.cut_short |= state.finalizing.is_none();
        // A frame that was told to stop has told its scopes why.
        self.cancel(scope, "ScopeDropped", false, self.now);
        let body = self.scopes[scope].body;
        if self.is_live(body) {
            self.end(body, Ending::Dropped);
        }
        for child in self.members(scope) {
            if self.frames[child].borrowed && self.is_live(child) {
                self.end(child, Ending::Dropped);
            }
        }
    }

    /// A scope has closed that a frame waits for. Whether that goes on.
    pub(super) fn leave_scope(&mut self, frame: usize, scope: usize, then: Then) -> bool {
        match then {
            Then::Outcome | Then::DroppedAt(_) | Then::ForgottenAt(_) => {
                let outcome = self.summary(scope);
                let (id, scope) = (self.id_of(frame), self.scopes[scope].settings.id.expect("it is in the program"));
                self.log(Entry::Resolved { frame: Some(id), scope, outcome });
                self.go_on(frame);
            }
            Then::Try(after) if self.scopes[scope].settings.shield.is_some() => self.leave_shield(frame, scope, after),
            Then::Try(after) => {
                self.seen("a scope's error passed on");
                let what = match self.scopes[scope].result() {
                    Seen::Cancelled(reason) => Seen::Error(Raised::Cancelled(reason)),
                    what => what,
                };
                let (id, scope) = (self.id_of(frame), self.scopes[scope].settings.id.expect("it is in the program"));
                self.log(Entry::Tried { frame: id, scope, what: what.clone() });
                self.frames[frame].doing = Doing::Trying(self.now + after, what);
            }
            Then::Learn => self.learn(frame, scope),
            Then::Forward => {
                let inherited = self.scopes[scope].cancelled.as_ref().is_some_and(|(_, inherited)| *inherited);
                let is_shield = self.scopes[scope].settings.shield.is_some();
                let result = self.scopes[scope].result();
                let own = self.scopes[scope].carried.take();
                match result {
                    // The code's own error is the child's, whatever became of its shield since.
                    _ if own.is_some() => self.end(frame, own.map_or(Ending::Value, Ending::Failed)),
                    Seen::Value => {
                        if self.stops_at(frame).is_some_and(|at| at < self.now) {
                            self.seen("a shielded child went on after its stop");
                        }
                        self.end(frame, Ending::Value);
                    }
                    // Whatever the grace.
                    Seen::Cancelled(_) if inherited && self.scopes[scope].awaited_dead => {
                        self.seen("awaited a dead child in the grace, with a deadline of its own");
                        self.end(frame, Ending::AwaitedDead(None));
                    }
                    // The grace is a bound and not a wait, for an error as for a value.
                    Seen::Cancelled(_) if inherited && !is_shield && self.scopes[scope].late.is_some() => {
                        let late = self.scopes[scope].late.clone().expect("as just seen");
                        self.end(frame, Ending::Failed(late));
                    }
                    Seen::Cancelled(_) if inherited => {
                        self.frames[frame].doing = Doing::Inside(scope, Then::Nothing);
                    }
                    Seen::Cancelled(reason) if reason == "AwaitedChild" => self.end(frame, Ending::AwaitedDead(None)),
                    failure => {
                        if matches!(failure, Seen::Cancelled(_)) {
                            self.seen("a child's own deadline missed");
                        }
                        self.end(frame, Ending::Failed(failure));
                    }
                }
            }
            Then::Nothing => return false,
        }
        true
    }

    pub(super) fn id_of(&self, frame: usize) -> usize {
        self.frames[frame].code.expect("frames of the program have code").id
    }

    pub(super) fn record_body(&mut self, scope: usize, ending: Ending) {
        let state = &mut self.scopes[scope];
        state.body_ended = true;
        match ending {
            Ending::Value => state.value = true,
            Ending::Dropped => state.cut_short = true,
            Ending::AwaitedDead(None) => {
                state.cut_short = true;
                state.awaited_dead = true;
                self.cancel(scope, "AwaitedChild", false, self.now);
            }
            Ending::Failed(failure) | Ending::AwaitedDead(Some(failure)) => {
                if state.cancelled.is_some() {
                    state.cut_short = true;
                    state.late = Some(failure.clone());
                    state.further.push(failure);
                } else {
                    self.decide(scope, failure);
                }
            }
        }
    }

    /// The exit of a child, and whose its failure is (P4, P5).
    pub(super) fn record_exit(&mut self, frame: usize, scope: usize, told: Told, ending: Ending) {
        let task = self.frames[frame].task.expect("bodies have no exit");
        let is_daemon = task.kind == Kind::Daemon;
        let has_handle = self.frames[frame].has_handle;
        let isolated = task.isolated || self.is_starting_at_its_end(frame);
        let state = &mut self.scopes[scope];
        let (count, failure) = match ending {
            Ending::Value => (SUCCEEDED, None),
            Ending::Failed(failure) | Ending::AwaitedDead(Some(failure)) => {
                (if matches!(failure, Seen::Panic(_)) { PANICKED } else { FAILED }, Some(failure))
            }
            Ending::Dropped => {
                state.cut_short |= told == Told::ByScope && !is_daemon;
                (CANCELLED, None)
            }
            Ending::AwaitedDead(None) if state.cancelled.is_some() => {
                state.cut_short |= told != Told::FromInside;
                (CANCELLED, None)
            }
            Ending::AwaitedDead(None) => (CANCELLED, Some(Seen::Cancelled("AwaitedChild".into()))),
        };
        state.counts[count] += 1;
        let Some(failure) = failure else { return };
        state.cut_short |= state.cancelled.is_some() && !isolated && told != Told::FromInside;
        if isolated || state.settings.supervise {
            if has_handle {
                self.frames[frame].unclaimed = Some(failure);
            } else {
                state.further.push(failure);
            }
        } else if told != Told::Nobody || state.cancelled.is_some() {
            self.scopes[scope].further.push(failure);
            self.seen("a secondary failure");
        } else {
            if self.frames[frame].start == Readiness::Ready {
                self.seen("a child that was ready failed its scope");
            }
            self.decide(scope, failure);
        }
    }

    /// The first failure that the policy does not continue past (P5).
    pub(super) fn decide(&mut self, scope: usize, failure: Seen) {
        if let Seen::Cancelled(reason) = failure {
            self.scopes[scope].cut_short = true;
            return self.cancel(scope, &reason, false, self.now);
        }
        self.scopes[scope].primary = Some(failure);
        self.cancel(scope, "ChildFailed", false, self.now);
    }

    // The end of a scope (P10).

    pub(super) fn teardown(&mut self, scope: usize) -> bool {
        let state = &self.scopes[scope];
        if state.closed.is_some() || state.finalizing.is_some() || state.forgotten {
            return false;
        }
        if !state.drained {
            self.scopes[scope].drained = self.is_drained(scope);
            return self.scopes[scope].drained;
        }
        if let Some((daemon, _)) = state.turn {
            if self.is_over(daemon) {
                self.scopes[scope].turn = None;
                return true;
            }
            return false;
        }
        let newest = self.members(scope).into_iter().rfind(|frame| self.is_daemon(*frame) && !self.is_over(*frame));
        if let Some(daemon) = newest {
            self.stop_daemon(scope, daemon);
        } else if let Some(finalizer) = self.scopes[scope].finalizers.pop() {
            self.keep_unclaimed(scope);
            let told = self.told_at_the_end(scope, finalizer);
            self.scopes[scope].finalizing = Some((finalizer, self.now));
            self.log(Entry::Finalizing { scope: self.number(scope), id: finalizer.id, told });
        } else {
            self.keep_unclaimed(scope);
            self.scopes[scope].closed = Some(self.now);
            self.seen(format!("outcome: {}", self.scopes[scope].kind()));
        }
        true
    }

    pub(super) fn number(&self, scope: usize) -> usize {
        self.scopes[scope].settings.id.expect("nobody defers or spawns in a scope without a number")
    }

    /// Body and ordinary children have ended, and the scopes that they opened.
    pub(super) fn is_drained(&self, scope: usize) -> bool {
        let members = self.members(scope);
        members.into_iter().filter(|frame| !self.is_daemon(*frame)).all(|frame| self.is_over(frame))
    }

    pub(super) fn is_over(&self, frame: usize) -> bool {
        let is_leaked =
            matches!(self.frames[frame].doing, Doing::Leaked) && !self.scopes[self.frames[frame].scope].forgotten;
        (is_leaked || !self.is_live(frame)) && self.opened_by(frame).is_empty()
    }

    pub(super) fn stop_daemon(&mut self, scope: usize, daemon: usize) {
        let state = &self.scopes[scope];
        let grace = self.own_grace(daemon).or(state.settings.grace);
        let at = match (grace, &state.cancelled) {
            (Some(grace), _) => self.now + grace,
            (None, Some(_)) => state.stop_at,
            (None, None) => self.now,
        };
        let reason = state.reason_or("WorkDone");
        self.scopes[scope].turn = Some((daemon, at));
        self.scopes[scope].turn_since = self.now;
        let id = self.frames[daemon].task.expect("it is a child").code.id;
        self.told.daemons.insert(id, self.number(scope));
        self.seen("a daemon in its turn");
        for below in self.opened_by(daemon) {
            self.hand_down(below, &reason, at, self.now);
        }
    }

    pub(super) fn end_finalizer(&mut self, scope: usize) {
        let Some((finalizer, began)) = self.scopes[scope].finalizing else { return };
        let limit = self.scopes[scope].settings.finalizer_timeout;
        if began + finalizer.takes.ms.min(limit) != self.now {
            return;
        }
        let (how, failure) = match finalizer.end {
            _ if limit < finalizer.takes.ms => (How::Dropped, Some(Seen::Cancelled("Deadline".into()))),
            End::Value => (How::Value, None),
            End::Error => (How::Error, Some(Seen::Error(Raised::By(finalizer.id)))),
            End::Panic => (How::Panic, Some(Seen::Panic(finalizer.id))),
        };
        self.seen(format!("finalizer: {how:?}"));
        self.log(Entry::Finalized { scope: self.number(scope), id: finalizer.id, how });
        let state = &mut self.scopes[scope];
        state.finalizing = None;
        if let Some(failure) = failure {
            if state.cancelled.is_some() || state.primary.is_some() {
                state.further.push(failure);
            } else {
                state.primary = Some(failure);
            }
        }
    }

    pub(super) fn summary(&self, scope: usize) -> Summary {
        let state = &self.scopes[scope];
        let closed = state.closed.expect("it has an outcome");
        let mut further = state.further.clone();
        further.sort();
        Summary {
            kind: state.kind().to_owned(),
            has_value: state.value,
            cancelled: state.cancelled.clone(),
            primary: state.primary.clone(),
            further,
            counts: state.counts,
            duration: closed - state.opened_at,
            drained_in: state.cancelled.as_ref().map(|_| closed - state.cancelled_at),
        }
    }
}

impl ScopeState<'_> {
    /// When its deadline cuts something short, if nothing else does before.
    pub(super) fn deadline(&self) -> Option<At> {
        let may_expire = self.cancelled.is_none() && !self.drained && self.closed.is_none();
        self.settings.timeout.filter(|_| may_expire).map(|timeout| self.opened_at + timeout)
    }

    pub(super) fn reason_or(&self, other: &str) -> String {
        self.cancelled.as_ref().map_or_else(|| other.to_owned(), |(reason, _)| reason.clone())
    }

    pub(super) fn kind(&self) -> &'static str {
        match (&self.primary, &self.cancelled) {
            (Some(_), _) => "failed",
            (None, Some((reason, _))) if self.cut_short && reason == "Deadline" => "deadline exceeded",
            (None, Some(_)) if self.cut_short => "cancelled",
            (None, _) if self.further.is_empty() => "ok",
            (None, _) => "partial",
        }
    }

    /// What `.await` gives.
    pub(super) fn result(&self) -> Seen {
        match (&self.primary, self.kind()) {
            (Some(failure), _) => failure.clone(),
            (None, "ok" | "partial") => Seen::Value,
            (None, _) => Seen::Cancelled(self.reason_or("")),
        }
    }
}

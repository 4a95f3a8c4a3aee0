//! Shields: scopes that their surroundings tell nothing, up to a time (`sc_tokio::shield`).

use super::*;

impl<'p> World<'p> {
    pub(super) fn shield(&mut self, frame: usize, here: Option<usize>, shield: &'p Shield) {
        let scope = self.open(Settings::shielding(shield.limit, Some(&shield.code)), Some(frame), here);
        self.frames[frame].doing = Doing::Inside(scope, Then::Try(shield.after.ms));
    }

    /// A child that is shielded as a whole. Gives the frame that its code is in, or the scope around its code.
    pub(super) fn shield_whole(&mut self, child: usize, here: Option<usize>, task: &'p Task, limit: Span) -> usize {
        self.seen("a child shielded as a whole");
        let code = task.timeout.is_none().then_some(&task.code);
        let scope = self.open(Settings::shielding(limit, code), Some(child), here);
        self.frames[child].doing = Doing::Inside(scope, Then::Forward);
        self.scopes[scope].body
    }

    /// The frames that are polled with one: itself, and those around it up to the next task.
    fn around(&self, frame: usize) -> Vec<usize> {
        let mut frames = vec![frame];
        let mut frame = frame;
        while self.frames[frame].task.is_none() || self.frames[frame].borrowed {
            let Some(opener) = self.scopes[self.frames[frame].scope].opener else { break };
            frame = opener;
            frames.push(frame);
        }
        frames
    }

    /// Whether a frame is not to be dropped yet, for it is polled together with an open shield.
    pub(super) fn is_shielded(&self, frame: usize) -> bool {
        let is_whole = match self.frames[frame].doing {
            Doing::Inside(scope, Then::Forward) => self.scopes[scope].settings.shield.is_some(),
            _ => false,
        };
        let in_force =
            |scope: &&ScopeState<'_>| scope.settings.shield.is_some() && !scope.unshielded && scope.closed.is_none();
        let mut openers = self.scopes.iter().filter(in_force).filter_map(|scope| scope.opener);
        is_whole || openers.any(|opener| self.around(opener).contains(&frame))
    }

    /// Tells a scope that its surroundings are cancelled, since when, and until when it may go on.
    pub(super) fn hand_down(&mut self, scope: usize, reason: &str, until: At, since: At) {
        let state = &mut self.scopes[scope];
        match state.settings.shield {
            Some(limit) if !state.unshielded => {
                if state.pending.is_none() && state.closed.is_none() {
                    let over = since + limit;
                    state.pending = Some((reason.to_owned(), over));
                    self.seen("a shield kept a cancellation out");
                    if over <= self.now {
                        self.end_shield(scope);
                    }
                }
            }
            _ => {
                let was_cancelled = state.cancelled.is_some();
                self.cancel(scope, reason, true, until);
                if !was_cancelled {
                    self.scopes[scope].since = since;
                }
            }
        }
    }

    pub(super) fn end_shield(&mut self, scope: usize) {
        self.seen("a shield's time over");
        let state = &mut self.scopes[scope];
        state.unshielded = true;
        let (reason, _) = state.pending.clone().expect("its time ran");
        self.cancel(scope, &reason, true, self.now);
    }

    /// Whether it is nobody's promise in which order the frames fall that a shield held whose time is over: the inner ones have
    /// something to say to the outer ones, who may be gone first.
    pub(super) fn is_tangled(&self, scope: usize) -> bool {
        let Some(opener) = self.scopes[scope].opener else { return false };
        let mut due = self.around(opener);
        due.retain(|frame| self.falls_at(*frame).is_some_and(|at| at < self.now));
        let by_itself = |frame: &usize| {
            let cancelled = &self.scopes[self.frames[*frame].scope].cancelled;
            self.frames[*frame].task.is_none() && cancelled.as_ref().is_some_and(|(_, inherited)| !inherited)
        };
        due.split_last().is_some_and(|(_, inner)| inner.iter().any(by_itself))
    }

    /// Since when a frame is told to stop.
    pub(super) fn told_since(&self, frame: usize) -> At {
        let Frame { scope, stop, .. } = &self.frames[frame];
        let scope = &self.scopes[*scope];
        match stop {
            Some((.., since)) => *since,
            None if self.is_daemon(frame) => scope.turn_since,
            None => scope.since,
        }
    }

    /// An error of the code in a shield is a value to the shield.
    pub(super) fn carry(&mut self, scope: usize, ending: Ending) -> Ending {
        match ending {
            Ending::Failed(error @ Seen::Error(_)) if self.scopes[scope].settings.shield.is_some() => {
                self.scopes[scope].carried = Some(error);
                Ending::Value
            }
            ending => ending,
        }
    }

    pub(super) fn leave_shield(&mut self, frame: usize, scope: usize, after: At) {
        if self.stops_at(frame).is_some_and(|at| at < self.now) {
            self.seen("a shield held its frame");
        }
        let what = match (self.scopes[scope].result(), self.scopes[scope].carried.take()) {
            (Seen::Value, Some(error)) => error,
            (Seen::Cancelled(reason), _) => Seen::Error(Raised::Cancelled(reason)),
            (what, _) => what,
        };
        let code = self.scopes[scope].settings.body.expect("a shield has code").id;
        self.log(Entry::Unshielded { frame: self.id_of(frame), code, what: what.clone() });
        self.frames[frame].doing = Doing::Trying(self.now + after, what);
    }
}

impl<'p> Settings<'p> {
    fn shielding(limit: Span, body: Option<&'p Code>) -> Self {
        let (id, supervise, timeout, grace) = (None, false, None, None);
        Self { id, supervise, timeout, grace, finalizer_timeout: 0, shield: Some(limit.ms), limit: None, body }
    }
}

impl ScopeState<'_> {
    /// When a shield's time is over, if that runs.
    pub(super) fn shield_over(&self) -> Option<At> {
        let runs = !self.unshielded && self.closed.is_none();
        self.pending.as_ref().filter(|_| runs).map(|(_, at)| *at)
    }
}

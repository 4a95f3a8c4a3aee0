//! What is forgotten: it is dropped by nobody, and nobody polls it.

use super::*;

impl World<'_> {
    /// The future of a scope is forgotten. It is asked for no step of its teardown before its opener has ended; a
    /// finalizer that runs just then would have to be told what it missed, so there the model gives up.
    pub(super) fn forget(&mut self, scope: usize) -> Result<(), Tie> {
        if self.scopes[scope].closed.is_some() {
            return Ok(());
        }
        if self.scopes[scope].finalizing.is_some() {
            return Err(Tie);
        }
        self.scopes[scope].forgotten = true;
        for frame in self.members(scope) {
            let is_inside = self.frames[frame].task.is_none() || self.frames[frame].borrowed;
            if is_inside && self.is_live(frame) {
                self.leak(frame)?;
            }
        }
        Ok(())
    }

    /// A frame is part of what was forgotten.
    fn leak(&mut self, frame: usize) -> Result<(), Tie> {
        let doing = std::mem::replace(&mut self.frames[frame].doing, Doing::Leaked);
        match doing {
            Doing::Inside(scope, _) => self.forget(scope)?,
            Doing::Awaiting(child)
            | Doing::Joining(child)
            | Doing::Stopping(child)
            | Doing::Starting(child, _)
            | Doing::AwaitingTask(child)
            | Doing::Acquiring(child, _) => self.leak_handle(child),
            _ => {}
        }
        if let Some(code) = self.frames[frame].code {
            self.told.leaked.insert(code.id);
        }
        for task in std::mem::take(&mut self.frames[frame].tasks) {
            self.leak_handle(task);
        }
        let leases = std::mem::take(&mut self.frames[frame].leases);
        self.told.leaked.extend(leases);
        for child in std::mem::take(&mut self.frames[frame].handles) {
            self.leak_handle(child);
        }
        Ok(())
    }

    pub(super) fn leak_handle(&mut self, child: usize) {
        self.frames[child].handle_leaked = true;
        self.leak_output(child);
    }

    /// Nobody drops a value that a leaked handle owns.
    pub(super) fn leak_output(&mut self, child: usize) {
        let Frame { handle_leaked: true, doing: Doing::Ended(Exit::Value), task: Some(task), .. } = &self.frames[child]
        else {
            return;
        };
        let id = task.code.id;
        self.seen("a value leaked with its handle");
        self.told.leaked.insert(id);
    }

    /// A frame has been dropped: so what it forgot is somebody else's to end (P3), and what that had forgotten.
    pub(super) fn end_opened(&mut self, frame: usize) {
        for scope in self.opened_by(frame) {
            if self.scopes[scope].forgotten {
                self.seen("a forgotten scope cancelled with its opener");
                self.opener_ended(scope);
            }
        }
    }

    fn opener_ended(&mut self, scope: usize) {
        let state = &mut self.scopes[scope];
        (state.forgotten, state.future_gone, state.body_ended) = (false, true, true);
        state.cut_short = true;
        self.cancel(scope, "OpenerEnded", false, self.now);
        for frame in self.members(scope) {
            if matches!(self.frames[frame].doing, Doing::Leaked) {
                self.end_opened(frame);
            }
        }
    }

    /// At the end of a scope nobody can claim a failure any more.
    pub(super) fn keep_unclaimed(&mut self, scope: usize) {
        for child in self.members(scope) {
            let failure = self.frames[child].unclaimed.take();
            self.scopes[scope].further.extend(failure);
        }
    }
}

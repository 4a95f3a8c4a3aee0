//! Ambient tasks: spawned without a handle of their scope (`sc_tokio::spawn`).

use super::*;

impl<'p> World<'p> {
    /// Into the frame's own scope: also one that is a shield's, a join's, or around the code of a child.
    pub(super) fn spawn_ambient(&mut self, frame: usize, task: &'p Task) {
        let scope = self.frames[frame].scope;
        let child = self.spawn_as(scope, task, Readiness::Spawned, false, Seat::Unneeded);
        // The handle is Tokio's.
        self.frames[child].has_handle = false;
        self.frames[frame].tasks.push(child);
    }

    /// An error in its output belongs to whoever has the handle; to the scope it is a value.
    pub(super) fn keep_output(&mut self, child: usize, ending: Ending) -> Ending {
        match ending {
            Ending::Failed(failure) if self.is_ambient(child) => {
                self.frames[child].output = Some(failure.clone());
                if matches!(failure, Seen::Error(_)) { Ending::Value } else { Ending::Failed(failure) }
            }
            ending => ending,
        }
    }

    fn is_ambient(&self, frame: usize) -> bool {
        self.frames[frame].task.is_some_and(|task| task.kind == Kind::Ambient)
    }

    fn task_of(&mut self, frame: usize, which: u8) -> Option<usize> {
        let tasks = &mut self.frames[frame].tasks;
        if tasks.is_empty() { None } else { Some(tasks.remove(usize::from(which) % tasks.len())) }
    }

    pub(super) fn join_ambient(&mut self, frame: usize, which: u8) {
        match self.task_of(frame, which) {
            Some(task) => self.frames[frame].doing = Doing::AwaitingTask(task),
            None => self.go_on(frame),
        }
    }

    /// By its user: from inside, and whatever shields it has.
    pub(super) fn abort(&mut self, frame: usize, which: u8) {
        let Some(task) = self.task_of(frame, which) else { return };
        if self.is_live(task) {
            self.seen("a task aborted by its user");
            self.end(task, Ending::Dropped);
        }
    }

    pub(super) fn answer_ambient(&mut self, frame: usize, task: usize) {
        let what = match (&self.frames[task].doing, self.frames[task].output.clone()) {
            (_, Some(failure)) => failure,
            (Doing::Ended(Exit::Value), None) => Seen::Value,
            _ => Seen::Aborted,
        };
        self.seen(match &what {
            Seen::Value => "a task's value",
            Seen::Error(_) => "a task's error",
            Seen::Panic(_) => "a task's panic",
            _ => "a task that was stopped",
        });
        self.saw(frame, task, what);
        self.go_on(frame);
    }
}

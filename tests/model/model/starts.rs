//! Readiness: children that are isolated until they say that they are ready (`sc_tokio::Scope::start`).

use super::*;

impl<'p> World<'p> {
    pub(super) fn start(&mut self, frame: usize, scope: usize, task: &'p Task, patience: Option<Span>) {
        let seat = self.queue_up(scope, task);
        let child = self.spawn_as(scope, task, Readiness::Starting, false, seat);
        self.frames[frame].doing = Doing::Starting(child, patience.map(|span| self.now + span.ms));
    }

    /// Code that a child was started with says that it is ready.
    pub(super) fn signal(&mut self, frame: usize) {
        let id = self.id_of(frame);
        let is_of = |child: &Frame<'_>| child.task.is_some_and(|task| task.code.id == id);
        let child = self.frames.iter_mut().find(|child| is_of(child) && child.start == Readiness::Starting);
        if let Some(child) = child {
            child.start = Readiness::Ready;
        }
    }

    /// Tells the starter whether the child is ready; not yet, if neither that nor its end has come.
    pub(super) fn answer_start(&mut self, frame: usize, child: usize) -> bool {
        let what = match (self.frames[child].start, self.is_live(child)) {
            (Readiness::Ready, _) => {
                if !self.has_its_seat(frame) {
                    return false;
                }
                Seen::Ready
            }
            (_, true) => return false,
            (_, false) => match self.claim(child) {
                Seen::Value => Seen::Unsignalled,
                what => what,
            },
        };
        self.seen(match &what {
            Seen::Ready => "a start answered",
            Seen::Unsignalled => "a start answered by an end without a signal",
            Seen::Cancelled(_) => "a start answered by a cancellation",
            _ => "a start answered by a failure",
        });
        if what == Seen::Ready {
            self.frames[frame].handles.push(child);
        } else {
            self.drop_handle(child);
        }
        self.saw(frame, child, what);
        self.go_on(frame);
        true
    }

    /// The call of `start` is dropped.
    pub(super) fn give_up(&mut self, child: usize) {
        let Frame { start, .. } = &mut self.frames[child];
        if *start == Readiness::Starting {
            *start = Readiness::Over;
        }
        if self.is_live(child) {
            self.seen("a start given up");
            self.stop(child, "Requested");
        }
        self.drop_handle(child);
    }

    /// Until it is ready, a child's failure belongs to whoever started it. At its end that is settled.
    pub(super) fn is_starting_at_its_end(&mut self, child: usize) -> bool {
        let Frame { start, .. } = &mut self.frames[child];
        if *start == Readiness::Starting {
            *start = Readiness::Over;
        }
        *start == Readiness::Over
    }
}

//! Resources: acquired by a shielded child, released by a finalizer (`sc_tokio::Scope::resource`).

use super::*;

impl<'p> World<'p> {
    pub(super) fn acquire(&mut self, frame: usize, scope: usize, resource: &'p Resource) {
        // No limit counts it.
        let child = self.spawn_as(scope, &resource.acquire, Readiness::Spawned, false, Seat::Unneeded);
        self.frames[child].release = Some(&resource.release);
        self.frames[frame].doing = Doing::Acquiring(child, resource);
    }

    /// Whoever has a resource has its release registered.
    pub(super) fn register_release(&mut self, child: usize) {
        let Frame { release: Some(release), doing: Doing::Ended(Exit::Value), scope, .. } = &self.frames[child] else {
            return;
        };
        let (release, scope) = (*release, *scope);
        self.seen("a resource acquired");
        self.scopes[scope].finalizers.push(release);
    }

    pub(super) fn answer_acquisition(&mut self, frame: usize, child: usize, resource: &Resource) {
        let what = self.claim(child);
        self.frames[child].has_handle = false;
        let id = resource.acquire.code.id;
        match what {
            Seen::Value => {
                self.frames[frame].leases.push(id);
                if resource.leaks {
                    self.told.leaked.insert(id);
                }
            }
            Seen::Error(_) | Seen::Panic(_) => self.seen("an acquisition failed"),
            // As if it had awaited a cancelled child.
            _ => {
                self.seen("an acquisition cancelled");
                return self.end(frame, Ending::AwaitedDead(None));
            }
        }
        self.saw(frame, child, what);
        self.go_on(frame);
    }

    /// What a finalizer is told.
    pub(super) fn told_at_the_end(&mut self, scope: usize, finalizer: &Finalizer) -> String {
        let kind = self.scopes[scope].kind();
        match finalizer.of {
            Some(acquired) if self.told.leaked.contains(&acquired) => {
                self.seen("a resource leaked");
                format!("{kind}, leaked")
            }
            Some(_) => {
                self.seen("a resource released");
                kind.to_owned()
            }
            None => kind.to_owned(),
        }
    }
}

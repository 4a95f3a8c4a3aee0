//! Limits: seats, the queue for them, and lending (`sc_tokio::Limit`).

use super::*;

pub(super) struct Limit<'p> {
    size: usize,
    taken: usize,
    /// In the order of arrival.
    queue: Vec<Waiter<'p>>,
    /// Lenders that want to go on; before anybody in the queue.
    returning: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Waiter<'p> {
    Child(usize),
    /// A body, and what it spawns on the seat.
    Body(usize, &'p Task),
}

impl Limit<'_> {
    pub(super) fn new(size: usize) -> Self {
        Self { size, taken: 0, queue: Vec::new(), returning: Vec::new() }
    }

    fn has_free(&self) -> bool {
        self.taken < self.size && self.queue.is_empty() && self.returning.is_empty()
    }
}

impl<'p> World<'p> {
    /// The place under the limit of a child that is about to be spawned.
    pub(super) fn queue_up(&mut self, scope: usize, task: &Task) -> Seat {
        let Some(limit) = self.scopes[scope].settings.limit else { return Seat::Unneeded };
        if task.kind == Kind::Daemon || self.scopes[scope].cancelled.is_some() {
            return Seat::Unneeded;
        }
        let limit = &mut self.limits[limit];
        if !limit.has_free() {
            return Seat::Queued;
        }
        limit.taken += 1;
        Seat::Held
    }

    /// Enters the child that was spawned last.
    pub(super) fn enqueue(&mut self, scope: usize) -> usize {
        let child = self.frames.len() - 1;
        let limit = self.scopes[scope].settings.limit.expect("it found no seat");
        self.limits[limit].queue.push(Waiter::Child(child));
        child
    }

    fn limit_of(&self, frame: usize) -> Option<usize> {
        self.scopes[self.frames[frame].scope].settings.limit
    }

    fn lender_to(&self, child: usize) -> Option<usize> {
        (0..self.frames.len()).find(|lender| self.is_live(*lender) && self.frames[*lender].seat == Seat::Lent(child))
    }

    /// A child has ended.
    pub(super) fn leave_seat(&mut self, child: usize) {
        let (seat, limit) = (std::mem::replace(&mut self.frames[child].seat, Seat::Unneeded), self.limit_of(child));
        let Some(limit) = limit else { return };
        match seat {
            Seat::Unneeded => {}
            Seat::Queued => {
                self.seen("a queued child that never began");
                self.limits[limit].queue.retain(|waiter| !matches!(waiter, Waiter::Child(queued) if *queued == child));
            }
            Seat::Held => match self.lender_to(child) {
                Some(lender) => self.seat_lender(limit, lender),
                None => self.free_seat(limit),
            },
            Seat::Lent(borrower) => {
                self.seen("a lender gone before its borrower");
                self.limits[limit].returning.retain(|lender| *lender != child);
                // Who lent it to the lender has it back from the borrower.
                if let Some(lender) = self.lender_to(child) {
                    self.frames[lender].seat = Seat::Lent(borrower);
                }
            }
        }
    }

    fn seat_lender(&mut self, limit: usize, lender: usize) {
        self.frames[lender].seat = Seat::Held;
        self.limits[limit].returning.retain(|other| *other != lender);
    }

    fn free_seat(&mut self, limit: usize) {
        self.limits[limit].taken -= 1;
        while self.limits[limit].taken < self.limits[limit].size {
            if let Some(lender) = self.limits[limit].returning.first().copied() {
                self.limits[limit].taken += 1;
                self.seat_lender(limit, lender);
                continue;
            }
            // Those who have been told to stop do not come to sit.
            let queue = &self.limits[limit].queue;
            let Some(next) = (0..queue.len()).find(|place| self.still_wants(queue[*place])) else { return };
            self.limits[limit].taken += 1;
            match self.limits[limit].queue.remove(next) {
                Waiter::Child(child) => {
                    self.seen("a queued child began");
                    self.frames[child].seat = Seat::Held;
                    self.begin_seated(child);
                }
                Waiter::Body(body, task) => {
                    self.seen("a reservation came to its turn");
                    self.spawn_on_seat(body, task, Seat::Held);
                }
            }
        }
    }

    fn begin_seated(&mut self, child: usize) {
        self.begin_code(child);
        let id = self.id_of(child);
        self.told.seated.insert(id);
    }

    fn still_wants(&self, waiter: Waiter<'_>) -> bool {
        match waiter {
            Waiter::Child(child) => self.told(child) == Told::Nobody,
            Waiter::Body(body, _) => self.scopes[self.frames[body].scope].cancelled.is_none(),
        }
    }

    // Lending.

    /// Whoever awaits a queued child, and has a seat, lends it; whoever is told to stop wants it back.
    pub(super) fn lend_somebody(&mut self) -> bool {
        for lender in 0..self.frames.len() {
            let (Doing::Awaiting(child) | Doing::Joining(child) | Doing::Stopping(child) | Doing::Starting(child, _)) =
                self.frames[lender].doing
            else {
                continue;
            };
            match (self.frames[lender].seat, self.limit_of(lender)) {
                (Seat::Held, Some(limit)) if self.frames[child].seat == Seat::Queued => {
                    self.seen("a lender lent its seat");
                    self.limits[limit]
                        .queue
                        .retain(|waiter| !matches!(waiter, Waiter::Child(queued) if *queued == child));
                    (self.frames[lender].seat, self.frames[child].seat) = (Seat::Lent(child), Seat::Held);
                    self.begin_seated(child);
                    return true;
                }
                (Seat::Lent(_), Some(_)) if self.told(lender) != Told::Nobody && self.wants_back(lender) => {
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    /// Whether a child that has something to do has its seat; if it has lent it, it takes the next free one.
    pub(super) fn has_its_seat(&mut self, frame: usize) -> bool {
        if matches!(self.frames[frame].seat, Seat::Lent(_)) {
            self.seen("a lender could not go on without a seat");
            self.wants_back(frame);
        }
        !matches!(self.frames[frame].seat, Seat::Lent(_))
    }

    /// Whether the lender has a seat again.
    fn wants_back(&mut self, lender: usize) -> bool {
        let limit = self.limit_of(lender).expect("it has lent a seat");
        let Limit { size, taken, returning, .. } = &mut self.limits[limit];
        if taken < size {
            *taken += 1;
            self.seat_lender(limit, lender);
            return true;
        }
        if !returning.contains(&lender) {
            returning.push(lender);
        }
        false
    }

    // Reservations.

    pub(super) fn reserve(&mut self, body: usize, scope: usize, task: &'p Task) {
        let limit = self.scopes[scope].settings.limit.filter(|_| self.scopes[scope].cancelled.is_none());
        match limit.map(|limit| &mut self.limits[limit]) {
            Some(limit) if limit.has_free() => {
                limit.taken += 1;
                self.spawn_on_seat(body, task, Seat::Held);
            }
            Some(limit) => {
                limit.queue.push(Waiter::Body(body, task));
                self.frames[body].doing = Doing::Reserving(task);
            }
            None if self.scopes[scope].cancelled.is_some() => self.refuse_seat(body, task),
            None => self.spawn_on_seat(body, task, Seat::Unneeded),
        }
    }

    fn spawn_on_seat(&mut self, body: usize, task: &'p Task, seat: Seat) {
        let scope = self.frames[body].scope;
        let is_daemon = task.kind == Kind::Daemon;
        let seat = if is_daemon { Seat::Unneeded } else { seat };
        let child = self.spawn_as(scope, task, Readiness::Spawned, false, seat);
        self.frames[body].handles.push(child);
        self.go_on(body);
        if let (true, Some(limit)) = (is_daemon, self.scopes[scope].settings.limit) {
            self.free_seat(limit);
        }
    }

    fn refuse_seat(&mut self, body: usize, task: &'p Task) {
        self.seen("a reservation refused");
        let what = Seen::Cancelled(self.scopes[self.frames[body].scope].reason_or(""));
        self.log(Entry::Saw { frame: self.id_of(body), child: task.code.id, what });
        self.go_on(body);
    }

    /// A reservation ends with the cancellation of its scope, whatever the grace.
    pub(super) fn answer_reservation(&mut self, body: usize, task: &'p Task) -> bool {
        if self.scopes[self.frames[body].scope].cancelled.is_none() {
            return false;
        }
        self.unreserve(body);
        self.refuse_seat(body, task);
        true
    }

    pub(super) fn unreserve(&mut self, body: usize) {
        for limit in &mut self.limits {
            limit.queue.retain(|waiter| !matches!(waiter, Waiter::Body(other, _) if *other == body));
        }
    }
}

//! The node of a scope in the tree: what its driver, its children and its relatives share.
//!
//! # Invariants
//!
//! 1. No two nodes are locked at once. What one node's change means for another is noted in a
//!    [`Work`] and done after the lock is released.
//! 2. No user code runs under the lock: no waker, destructor, policy, hook, subscriber, nor
//!    `tokio::spawn`, which drops the future at once on a runtime that shuts down.
//! 3. `word` changes only under the lock, and a change of what a child has to do changes its
//!    epoch. A child compares before each poll and takes the lock only when they differ.
//! 4. A cancellation is written to every node below before anybody is woken (P6).

use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

use sc_core::{CancelRequest, Cancelled, ChildKind, Deadline, Effects, Member, Origin, Reason, ScopeId};

use crate::books::{Books, Kept};
use crate::child::Gone;
use crate::events::{self, Notice};
use crate::fault::BoxedError;
use crate::hold::{Hold, WeakHold};
use crate::limit::Limit;
use crate::rt::{self, AtomicU64, Handle, Instant, Mutex, Ordering};
use crate::stops::Told;
use crate::wake::drop_quietly;
use crate::work::Work;

/// Spawns are refused.
pub(crate) const REFUSING: u64 = 1;
/// The scope is cancelled.
pub(crate) const CANCELLED: u64 = 2;
/// The scope is closed.
pub(crate) const CLOSED: u64 = 4;
const EPOCH: u64 = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Node {
    origin: Origin,
    word: AtomicU64,
    spawned: AtomicU64,
    /// Borrowed children alive; they hold nothing, since the driver waits for them itself.
    borrowed: AtomicU64,
    holds: WeakHold,
    /// `None` for an implicit root, which must not keep its runtime alive.
    runtime: Option<Handle>,
    /// Every exit is reported, since the policy asks about successes.
    watches_successes: bool,
    /// Failures may belong to handles.
    handles_matter: bool,
    /// A root's: failures of ambient tasks go to the hook when they happen, and do not wait for the
    /// end of the program.
    tells_at_once: bool,
    /// How many children run at once.
    limit: Option<Limit>,
    books: Mutex<Kept>,
}

/// What is settled about a scope when it opens.
#[derive(Default)]
pub(crate) struct Fixed {
    pub(crate) tells_at_once: bool,
    pub(crate) limit: Option<Limit>,
}

/// What a child that looked finds.
#[derive(Debug)]
pub(crate) enum Status {
    Run,
    /// Cancelled, in its grace; for the scopes below, [`Node::told_until`] says for how long.
    Told(Cancelled, sc_core::Told),
    /// To be dropped.
    Stop(Cancelled, sc_core::Told),
}

impl Node {
    pub(crate) fn new(origin: Origin, runtime: Handle, books: Books, fixed: Fixed) -> Arc<Self> {
        Self::with(origin, Some(runtime), books, fixed)
    }

    /// The scope of what is spawned outside any other.
    pub(crate) fn implicit_root(origin: Origin, books: Books) -> Arc<Self> {
        Self::with(origin, None, books, Fixed { tells_at_once: true, ..Fixed::default() })
    }

    fn with(origin: Origin, runtime: Option<Handle>, books: Books, fixed: Fixed) -> Arc<Self> {
        let Fixed { tells_at_once, limit } = fixed;
        let watches_successes = books.scope.watches_successes();
        let handles_matter = books.scope.handles_matter(ChildKind::LINKED);
        let first = Hold::first(|holds| {
            Arc::new(Self {
                origin,
                word: AtomicU64::new(0),
                spawned: AtomicU64::new(0),
                borrowed: AtomicU64::new(0),
                holds,
                runtime,
                watches_successes,
                handles_matter,
                tells_at_once,
                limit,
                books: Mutex::new(Kept::new(books)),
            })
        });
        let node = Arc::clone(first.node());
        node.books().driver_hold = Some(first);
        node
    }

    // What is asked without the lock.

    pub(crate) fn id(&self) -> ScopeId {
        self.origin.id()
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The runtime that polled the scope first.
    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.as_ref().expect("an implicit root has no driver and is never adopted")
    }

    pub(crate) fn tells_at_once(&self) -> bool {
        self.tells_at_once
    }

    /// How many children run at once.
    #[inline]
    pub(crate) fn limit(&self) -> Option<&Limit> {
        self.limit.as_ref()
    }

    /// Whether this is an implicit root.
    pub(crate) fn is_root(&self) -> bool {
        self.runtime.is_none()
    }

    /// The state as children compare it.
    #[inline]
    pub(crate) fn word(&self) -> u64 {
        self.word.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word() & CLOSED != 0
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.word() & CANCELLED != 0
    }

    #[inline]
    pub(crate) fn watches_successes(&self) -> bool {
        self.watches_successes
    }

    #[inline]
    pub(crate) fn handles_matter(&self, kind: ChildKind) -> bool {
        self.handles_matter || kind.isolated
    }

    /// Another hold, unless the scope is drained.
    #[inline]
    pub(crate) fn hold(&self) -> Option<Hold> {
        self.holds.upgrade()
    }

    pub(crate) fn holds(&self) -> usize {
        self.holds.count()
    }

    /// The number of the next child. To be taken after the `word` that the child compares with, so
    /// that `cancel_children`, which reads them in the other order, misses nobody who was present.
    #[inline]
    pub(crate) fn next_child(&self) -> u64 {
        self.spawned.fetch_add(1, Ordering::AcqRel)
    }

    pub(crate) fn spawned(&self) -> u64 {
        self.spawned.load(Ordering::Acquire)
    }

    /// Whether anything ever changed for the children here.
    pub(crate) fn has_stops(&self) -> bool {
        self.word() >= EPOCH
    }

    pub(crate) fn borrowed(&self) -> usize {
        usize::try_from(self.borrowed.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    pub(crate) fn borrowed_arrived(&self) {
        self.borrowed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn borrowed_left(&self, count: u64) {
        self.borrowed.fetch_sub(count, Ordering::Relaxed);
    }

    // What changes under the lock.

    #[inline]
    pub(crate) fn books(&self) -> impl std::ops::DerefMut<Target = Kept> {
        rt::lock(&self.books)
    }

    /// Sets flags and begins a new epoch. Invariant 3: the caller has the lock.
    pub(crate) fn raise(&self, flags: u64) {
        let word = self.word.load(Ordering::Relaxed);
        self.word.store((word | flags).wrapping_add(EPOCH), Ordering::Release);
    }

    /// Gives the scope an input and carries out what it decides.
    pub(crate) fn input(self: &Arc<Self>, input: impl FnOnce(&mut Books) -> Effects<BoxedError>) {
        let mut work = Work::default();
        {
            let mut books = self.books();
            let effects = input(&mut books);
            books.apply(self, effects, &mut work);
        }
        work.run();
    }

    pub(crate) fn cancel(self: &Arc<Self>, request: CancelRequest) {
        let now = Instant::now().into_std();
        let mut work = Work::default();
        let late = {
            let mut books = self.books();
            if books.scope.can_be_cancelled() {
                let effects = books.scope.cancel(request, now);
                books.apply(self, effects, &mut work);
                None
            } else {
                Some(request)
            }
        };
        work.run();
        // Without the lock, since the cause is the user's (invariant 2).
        drop(late);
    }

    /// Hands an ancestor's cancellation to this scope, as part of the ancestor's work.
    pub(crate) fn inherit(
        self: &Arc<Self>,
        cancelled: &Cancelled,
        stop_at: Option<std::time::Instant>,
        work: &mut Work,
    ) {
        let now = Instant::now();
        self.inherit_since(now, cancelled, stop_at, work);
    }

    /// As [`inherit`](Self::inherit), of a cancellation that may be older than this scope.
    pub(crate) fn inherit_since(
        self: &Arc<Self>,
        since: Instant,
        cancelled: &Cancelled,
        stop_at: Option<std::time::Instant>,
        work: &mut Work,
    ) {
        let mut books = self.books();
        if !self.begin_end_of_shield(&mut books, cancelled, since, work) {
            if books.scope.cancelled().is_none() {
                books.inherited_since = Some(since);
            }
            let effects = books.scope.inherit(cancelled, stop_at, Instant::now().into_std());
            books.apply(self, effects, work);
        }
    }

    /// Takes over the deadline that holds for the scope above. Looks again after it was written: two who move it
    /// at once do not come here in the order in which they moved it (P8).
    pub(crate) fn inherit_deadline(self: &Arc<Self>, parent: &Arc<Self>, work: &mut Work) {
        let mut written: Option<Option<Deadline>> = None;
        loop {
            let latest = parent.books().scope.deadline().cloned();
            if written.as_ref() == Some(&latest) {
                return;
            }
            let mut books = self.books();
            let effects = books.scope.inherit_deadline(latest.clone());
            books.apply(self, effects, work);
            drop(books);
            written = Some(latest);
        }
    }

    /// Shuts an owned scope down: what runs has until `at`, and who does not make it is named.
    pub(crate) fn stop_by(self: &Arc<Self>, request: CancelRequest, at: Option<std::time::Instant>) {
        let now = Instant::now().into_std();
        let mut work = Work::default();
        {
            let mut books = self.books();
            books.lists_stopped = true;
            let was_cancelled = books.scope.cancelled().is_some();
            let effects = books.scope.stop_by(request, at, now);
            books.apply(self, effects, &mut work);
            if was_cancelled {
                books.hasten_below(&mut work);
            }
        }
        work.run();
    }

    /// Hands an earlier end of an ancestor's grace to this scope, as part of the ancestor's work.
    pub(crate) fn hasten(self: &Arc<Self>, at: Option<std::time::Instant>, work: &mut Work) {
        let now = Instant::now().into_std();
        let mut books = self.books();
        let effects = books.scope.hasten(at, now);
        books.apply(self, effects, work);
        if books.scope.config().grace.is_none() {
            books.hasten_below(work);
        }
    }

    /// A scope that a daemon opened has closed.
    pub(crate) fn daemon_scope_closed(self: &Arc<Self>, daemon: u64, work: &mut Work) {
        let now = Instant::now().into_std();
        let mut books = self.books();
        let effects = books.scope.daemon_scope_closed(sc_core::ChildId::new(daemon), now);
        books.apply(self, effects, work);
    }

    /// The time has come for something. If an ancestor's deadline has passed as well, the
    /// outermost is the one that expired (P8).
    pub(crate) fn tick(self: &Arc<Self>) {
        let now = Instant::now();
        self.tick_shields(now);
        if let Some(outermost) = self.outermost_expired(now) {
            outermost.input(|books| books.scope.tick(now.into_std()));
        }
        let (aborts, look) = {
            let mut books = self.books();
            let due = books.graces.tick(now);
            let Books { stops, shielded, .. } = &mut **books;
            let (aborts, look) = stops.tick(now, shielded);
            (aborts, look || due)
        };
        if look {
            self.wake_present();
        }
        for abort in aborts {
            abort.abort();
        }
        self.input(|books| books.scope.tick(now.into_std()));
    }

    /// There is no timer, and nobody left to be told: a grace that cannot be timed is over (P3).
    pub(crate) fn cut_graces(self: &Arc<Self>) {
        let aborts = {
            let mut books = self.books();
            let Books { stops, graces, shielded, .. } = &mut **books;
            graces.expire();
            stops.expire(shielded)
        };
        for abort in aborts {
            abort.abort();
        }
        self.wake_present();
        let now = Instant::now().into_std();
        self.input(|books| books.scope.cut_grace(now));
    }

    /// As [`tick`](Self::tick), if the deadline has passed.
    pub(crate) fn tick_if_due(self: &Arc<Self>, now: Instant) {
        let due = self.books().scope.next_timer().is_some_and(|at| at <= now.into_std());
        if due {
            self.tick();
        }
    }

    fn outermost_expired(self: &Arc<Self>, now: Instant) -> Option<Arc<Self>> {
        let expired = |books: &Books| {
            let own = books.scope.config().deadline.as_ref();
            books.scope.cancelled().is_none() && own.is_some_and(|own| own.has_passed(now.into_std()))
        };
        let mut next = {
            let books = self.books();
            if !expired(&books) {
                return None;
            }
            books.inherits_from()
        };
        let mut found = None;
        while let Some(node) = next {
            let books = node.books();
            let (up, is_expired) = (books.inherits_from(), expired(&books));
            drop(books);
            if is_expired {
                found = Some(Arc::clone(&node));
            }
            next = up;
        }
        found
    }

    /// Has every child look at its next poll.
    pub(crate) fn begin_epoch(&self) {
        let _books = self.books();
        self.raise(0);
    }

    /// The carrier's timers may have changed.
    pub(crate) fn rearm(&self) {
        let carrier = {
            let mut books = self.books();
            books.changed = true;
            books.carrier.take()
        };
        crate::wake::wake_all(carrier);
    }

    /// Why this scope is cancelled; if it is not, a notice for this `reason`.
    pub(crate) fn why(&self, reason: Reason) -> Cancelled {
        let books = self.books();
        match books.scope.cancelled() {
            Some(cancelled) => cancelled.clone(),
            None => books.scope.notice(CancelRequest::because(reason)),
        }
    }

    pub(crate) fn phase(&self) -> sc_core::Phase {
        self.books().scope.phase()
    }

    /// Cancels the scope whose deadline holds here, if that has passed and nobody has noticed.
    pub(crate) fn expire_if_due(self: &Arc<Self>) {
        let mut next = Some(Arc::clone(self));
        while let Some(node) = next {
            let (is_due, owns, up) = {
                let books = node.books();
                let Some(deadline) = books.scope.deadline() else { return };
                let is_due = books.scope.cancelled().is_none() && deadline.has_passed(Instant::now().into_std());
                (is_due, books.scope.owns_deadline(), books.inherits_from())
            };
            if !is_due {
                return;
            }
            if owns {
                return node.tick();
            }
            next = up;
        }
    }

    /// What is left until the deadline that holds.
    pub(crate) fn remaining(&self) -> Option<std::time::Duration> {
        let at = self.books().scope.deadline().map(Deadline::at)?;
        Some(Instant::from_std(at).saturating_duration_since(Instant::now()))
    }

    /// Admits a borrowed child, which needs no hold: the driver has it.
    pub(crate) fn admit_borrowed(&self) -> Option<(u64, u64)> {
        let seen = self.word();
        (seen & REFUSING == 0).then(|| (self.next_child(), seen))
    }

    /// Refuses a child (P7): its code is dropped unpolled, and its handle finds this.
    pub(crate) fn refuse(self: &Arc<Self>, code: impl Sized, place: &'static Location<'static>) -> Gone {
        self.books().scope.note_refused();
        events::say(&Notice::Refused { origin: self.origin.clone(), place });
        let cancelled = self.why(Reason::WorkDone);
        if let Some(panic) = drop_quietly(code) {
            self.own_failure(Member::some_child().at(place), panic);
        }
        Gone::Cancelled(Some(cancelled))
    }

    /// Has every waiting child look at what it is told, without taking its waker away.
    pub(crate) fn wake_present(self: &Arc<Self>) {
        let mut work = Work::default();
        {
            let mut books = self.books();
            self.raise(0);
            let wakers = books.present.take_wakers();
            work.wake(wakers);
            let waiters = books.waiters.take();
            work.wake(waiters);
            let Books { stops, ambient, shielded, .. } = &mut **books;
            let due = |id| stops.told(id, false).is_some_and(|told| told.due) && !shielded.has(id);
            work.abort(ambient.take_if(due));
        }
        work.run();
    }

    // What children ask and say.

    /// What a member that saw a new epoch has to do.
    pub(crate) fn status(&self, id: u64, daemon: bool) -> Status {
        let books = self.books();
        match Self::order(&books, id, daemon) {
            Status::Stop(cancelled, told) if books.shielded.has(id) => Status::Told(cancelled, told),
            status => status,
        }
    }

    /// What a member is told, shields left aside.
    fn order(books: &Books, id: u64, daemon: bool) -> Status {
        use sc_core::Told::{ByScope, FromInside};
        if let Some(Told { cancelled, due, .. }) = books.stops.told(id, daemon) {
            return if due { Status::Stop(cancelled, FromInside) } else { Status::Told(cancelled, FromInside) };
        }
        if daemon {
            return match &books.daemon {
                Some(told) if told.id == id && told.due => Status::Stop(told.cancelled.clone(), FromInside),
                Some(told) if told.id == id => Status::Told(told.cancelled.clone(), FromInside),
                _ => Status::Run,
            };
        }
        match books.scope.cancelled() {
            Some(cancelled) if books.is_stopped(id) => Status::Stop(cancelled.clone(), ByScope),
            Some(cancelled) => Status::Told(cancelled.clone(), ByScope),
            None => Status::Run,
        }
    }

    /// When the grace of a member ends that was told to stop, for the scopes it opened (`None`: never).
    pub(crate) fn told_until(&self, id: u64, daemon: bool) -> Option<std::time::Instant> {
        let books = self.books();
        match books.stops.told(id, daemon) {
            Some(told) => told.at.map(Instant::into_std),
            None if daemon => books.scope.daemon_stop_at(),
            None => books.stop_at(id),
        }
    }

    /// Since when a member is told to stop.
    pub(crate) fn told_since(&self, id: u64, daemon: bool) -> Option<Instant> {
        let books = self.books();
        match books.stops.told(id, daemon) {
            Some(told) => Some(told.since),
            None if daemon => books.daemon.as_ref().filter(|told| told.id == id).map(|told| told.since),
            None => books.cancelled_since(),
        }
    }

    /// A child waits for the first time. `None`: something changed since it looked, so it has to
    /// look again.
    pub(crate) fn enter(&self, seen: u64, place: &'static Location<'static>, waker: Waker) -> Option<u32> {
        let mut books = self.books();
        (self.word() == seen).then(|| books.present.enter(place, waker))
    }

    // The ends of frames and futures.

    /// The frame that opened this scope has ended (P3). If the scope's future was forgotten, so were
    /// those of the scopes opened inside it, by its body or a borrowed child: they go along.
    pub(crate) fn opener_ended(self: &Arc<Self>) {
        let now = Instant::now().into_std();
        let mut next = vec![Arc::clone(self)];
        while let Some(node) = next.pop() {
            node.input(|books| {
                next.extend(books.nested.iter().filter(|below| below.in_future).map(|below| Arc::clone(&below.node)));
                books.scope.opener_ended(now)
            });
            events::say(&Notice::FutureGone { origin: node.origin.clone(), forgotten: true });
            crate::reaper::adopt(&node);
        }
    }

    /// The last hold is gone: body and ordinary children have ended.
    pub(crate) fn all_released(self: &Arc<Self>) {
        if self.is_closed() {
            // The body was the last, and has closed it.
            return;
        }
        let (carrier, abandoned) = {
            let mut books = self.books();
            books.released = true;
            books.changed = true;
            (books.carrier.take(), books.abandoned)
        };
        crate::wake::wake_all(carrier);
        if abandoned {
            crate::reaper::close_abandoned(self);
        }
    }

    /// Who is still alive, at most `most` of them, nested and adopted scopes included.
    pub(crate) fn living(self: &Arc<Self>, most: usize) -> Vec<Member> {
        let mut members = Vec::new();
        let mut next = vec![Arc::clone(self)];
        while let Some(node) = next.pop() {
            if members.len() >= most {
                break;
            }
            let books = node.books();
            members.extend(books.present.members(most - members.len()));
            next.extend(books.nested.iter().map(|below| Arc::clone(&below.node)));
        }
        members
    }
}

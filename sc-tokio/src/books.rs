//! What a scope keeps under its lock, and how the decisions of `sc-core` are written into it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use sc_core::{BodyEnd, Cancelled, Effects, Failure, FailureRecord, Member, Panic, Scope, ScopeEnd, Straggler};

use crate::ambient::AmbientTasks;
use crate::events::Notice;
use crate::fault::{BoxedError, Fault};
use crate::frame::{Opener, Who};
use crate::graces::Graces;
use crate::hold::Hold;
use crate::judge::Judge;
use crate::lazy::Lazy;
use crate::node::{CANCELLED, CLOSED, Node, REFUSING};
use crate::parked::ParkedOutputs;
use crate::present::{Present, Waiters};
use crate::rt::{CancellationToken, Instant};
use crate::shield::{Shield, Shielded};
use crate::shutdown::Latch;
use crate::stops::Stops;
use crate::work::Work;

/// How many stragglers a message names.
const NAMED: usize = 16;
/// How many the report of a scope that was shut down lists.
const LISTED: usize = 64;

/// A finalizer that has not begun.
pub(crate) type Finalizer = Box<dyn FnOnce(ScopeEnd) -> RunningFinalizer + Send>;

/// A finalizer that runs; gives its failure.
pub(crate) type RunningFinalizer = Pin<Box<dyn Future<Output = Option<Fault>> + Send>>;

/// The scope above.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) node: Arc<Node>,
    /// Keeps the parent open until this scope is closed (P3).
    #[allow(dead_code, reason = "held, and released by its destructor")]
    pub(crate) hold: Option<Hold>,
    /// The daemon of the parent that opened this scope: the scope counts as a part of it.
    pub(crate) daemon: Option<u64>,
    /// The frame that opened this scope, if it is one of the parent's, and whether that lives in the parent's own future.
    pub(crate) opener: Option<(Who, bool)>,
    pub(crate) slot: u32,
}

/// The daemon whose turn it is to stop.
#[derive(Debug)]
pub(crate) struct DaemonTold {
    pub(crate) id: u64,
    pub(crate) cancelled: Cancelled,
    pub(crate) since: Instant,
    pub(crate) due: bool,
}

/// A scope below that is not closed.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts about how it was opened")]
pub(crate) struct Below {
    pub(crate) node: Arc<Node>,
    /// A daemon opened it, which is cancelled in its own time.
    pub(crate) by_daemon: bool,
    /// The child of this scope that opened it, which may have a grace of its own.
    pub(crate) opener: Option<u64>,
    /// Its future lives in this scope's own, and is lost with it.
    pub(crate) in_future: bool,
    /// A shield: its deadline is its own.
    pub(crate) shielded: bool,
    /// It was opened in no frame, below a program's root.
    pub(crate) at_top: bool,
    /// It belongs to a value rather than to a frame: no deadline is handed down to it.
    pub(crate) owned: bool,
    /// It holds this scope open.
    pub(crate) holds: bool,
}

impl Below {
    /// What is told everything and keeps nothing open.
    pub(crate) fn of(node: &Arc<Node>) -> Self {
        Self {
            node: Arc::clone(node),
            by_daemon: false,
            opener: None,
            in_future: false,
            shielded: false,
            at_top: false,
            owned: false,
            holds: false,
        }
    }
}

/// Whose a scope is: who ends its open phase, and who takes its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Owner {
    /// A future polls its body.
    #[default]
    Future,
    /// A value; there is no body to wait for once the scope is cancelled.
    Value,
    /// A value that was dropped: nobody takes the outcome.
    Gone,
}

/// The scopes below that are not closed.
#[derive(Debug, Default)]
pub(crate) struct Nested(Lazy<NestedScopes>);

#[derive(Debug, Default)]
struct NestedScopes {
    slots: Vec<Option<Below>>,
    free: Vec<u32>,
    holds: usize,
}

impl Nested {
    pub(crate) fn enter(&mut self, below: Below) -> u32 {
        let NestedScopes { slots, free, holds } = self.0.make();
        let slot = free.pop().unwrap_or_else(|| {
            slots.push(None);
            u32::try_from(slots.len() - 1).expect("fewer than 2^32 scopes are open at once")
        });
        *holds += usize::from(below.holds);
        slots[slot as usize] = Some(below);
        slot
    }

    /// Gives back what is to be dropped without the lock.
    pub(crate) fn leave(&mut self, slot: u32) -> Option<Below> {
        let NestedScopes { slots, free, holds } = self.0.make();
        let left = slots[slot as usize].take();
        free.push(slot);
        *holds -= usize::from(left.as_ref().is_some_and(|left| left.holds));
        left
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Below> {
        self.0.get().into_iter().flat_map(|nested| nested.slots.iter().flatten())
    }

    /// How many of them hold this scope open.
    pub(crate) fn holds(&self) -> usize {
        self.0.get().map_or(0, |nested| nested.holds)
    }
}

/// See the module.
#[allow(clippy::struct_excessive_bools, reason = "independent latches of the teardown")]
pub(crate) struct Books {
    pub(crate) scope: Scope<BoxedError>,
    pub(crate) driver_hold: Option<Hold>,
    /// Holds of an implicit root that are threads' and no children's.
    pub(crate) keepers: u32,
    pub(crate) parent: Option<Parent>,
    pub(crate) nested: Nested,
    /// Whoever carries the scope to its end: its driver, or the reaper once the future is gone.
    pub(crate) carrier: Option<Waker>,
    /// The driver of a scope that somebody else carries.
    pub(crate) observer: Option<Waker>,
    /// Something happened that the carrier has to look at.
    pub(crate) changed: bool,
    /// The last hold is gone.
    pub(crate) released: bool,
    /// When the body ended, if it was alone then.
    pub(crate) drained_at: Option<std::time::Instant>,
    pub(crate) owner: Owner,
    /// Who is alive when the grace is over is kept for the report.
    pub(crate) lists_stopped: bool,
    /// The driver is out of it: its future is gone, or there never was one.
    pub(crate) adopted: bool,
    /// Somebody has taken over from it.
    pub(crate) carried: bool,
    /// The runtime dropped the reaper: nobody will poll this scope again.
    pub(crate) abandoned: bool,
    pub(crate) waiters: Waiters,
    pub(crate) present: Present,
    /// Somebody may wait in a queue, for a seat or for a thread: one who is not to sit out the grace there.
    pub(crate) wakes_at_once: bool,
    /// Numbers that were given to children which were then refused.
    pub(crate) uncounted: u64,
    pub(crate) stops: Stops,
    pub(crate) graces: Graces,
    /// A root's: the beginning of the shutdown.
    pub(crate) latch: Latch,
    /// Tasks whose handles are Tokio's own.
    pub(crate) ambient: AmbientTasks,
    pub(crate) daemon: Option<Box<DaemonTold>>,
    /// Since when its surroundings are cancelled; it may have been opened after that.
    pub(crate) inherited_since: Option<Instant>,
    pub(crate) parked: ParkedOutputs,
    pub(crate) finalizers: Vec<Finalizer>,
    pub(crate) finalizer_timeout: Duration,
    /// Nobody asked for the scope's own deadline.
    pub(crate) timer_is_optional: bool,
    pub(crate) finalizer_due: bool,
    /// A step of the teardown runs user code, without the lock.
    pub(crate) stepping: bool,
    /// Put back here between polls, so that the reaper can go on where the driver was dropped.
    pub(crate) running: Option<RunningFinalizer>,
    /// The future of `cancel_on`; taken by the driver.
    pub(crate) external: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(crate) token: Option<CancellationToken>,
    pub(crate) policy: Option<Box<dyn Judge>>,
    pub(crate) judging: bool,
    /// A program's root whose main function has returned: what failed since, in words.
    pub(crate) failed_late: Option<Vec<String>>,
    /// What makes this scope a shield.
    pub(crate) shield: Option<Box<Shield>>,
    /// Members that are not to be stopped yet.
    pub(crate) shielded: Shielded,
}

impl Books {
    #[inline]
    pub(crate) fn new(scope: Scope<BoxedError>, policy: Option<Box<dyn Judge>>) -> Self {
        Self {
            scope,
            driver_hold: None,
            keepers: 0,
            parent: None,
            nested: Nested::default(),
            carrier: None,
            observer: None,
            changed: false,
            released: false,
            drained_at: None,
            owner: Owner::Future,
            lists_stopped: false,
            adopted: false,
            carried: false,
            abandoned: false,
            waiters: Waiters::default(),
            present: Present::default(),
            wakes_at_once: false,
            uncounted: 0,
            stops: Stops::default(),
            graces: Graces::default(),
            latch: Latch::default(),
            ambient: AmbientTasks::default(),
            daemon: None,
            inherited_since: None,
            parked: ParkedOutputs::default(),
            finalizers: Vec::new(),
            finalizer_timeout: Duration::ZERO,
            timer_is_optional: false,
            external: None,
            finalizer_due: false,
            stepping: false,
            running: None,
            token: None,
            policy,
            judging: false,
            failed_late: None,
            shield: None,
            shielded: Shielded::default(),
        }
    }

    /// The scope above whose cancellation and deadline hold here.
    pub(crate) fn inherits_from(&self) -> Option<Arc<Node>> {
        self.parent.as_ref().map(|parent| Arc::clone(&parent.node))
    }

    /// The frame around this scope.
    pub(crate) fn opened_by(&self) -> Option<Opener> {
        let parent = self.parent.as_ref()?;
        let (who, in_future) = parent.opener?;
        Some(Opener { node: Arc::clone(&parent.node), who, in_future })
    }

    /// The next instant at which the carrier has something to do, and the next at which it may
    /// have something to say.
    pub(crate) fn next_timers(&self) -> (Option<Instant>, Option<Instant>) {
        let own = self.scope.next_timer().map(Instant::from_std);
        let shield = self.shield.as_ref().and_then(|shield| shield.over_at());
        let timer = [own, self.stops.next(), self.graces.next(), shield].into_iter().flatten().min();
        // A shield without a timer is unbounded, and no error.
        let warning =
            [self.scope.next_warning().map(Instant::from_std), self.shielded.next()].into_iter().flatten().min();
        if self.timer_is_optional { (None, [timer, warning].into_iter().flatten().min()) } else { (timer, warning) }
    }

    /// Whether the scope's cancellation drops this member now.
    pub(crate) fn is_stopped(&self, id: u64) -> bool {
        self.graces.is_due(id).unwrap_or_else(|| self.scope.is_stopped())
    }

    /// Since when the scope or its surroundings are cancelled, which is what the time of a shield counts from. Else whoever opens
    /// scope after scope would get a new shield's time with each (P9).
    pub(crate) fn cancelled_since(&self) -> Option<Instant> {
        self.inherited_since.or_else(|| self.scope.cancelled_at().map(Instant::from_std))
    }

    /// Whether this member is to be dropped now, shields left aside.
    pub(crate) fn is_due(&self, id: u64) -> bool {
        let is_daemon = self.scope.is_daemon(sc_core::ChildId::new(id));
        if let Some(told) = self.stops.told(id, is_daemon) {
            return told.due;
        }
        match &self.daemon {
            Some(told) if told.id == id => told.due,
            _ => self.scope.cancelled().is_some() && self.is_stopped(id),
        }
    }

    /// When the scope's cancellation drops this member (`None`: never).
    pub(crate) fn stop_at(&self, id: u64) -> Option<std::time::Instant> {
        match self.graces.ends(id) {
            Some(ends) => ends.at().map(Instant::into_std),
            None => self.scope.stop_at(),
        }
    }

    /// The daemon that is to wait for an output, given whose it is. After the drain only daemons run, and one that has ended
    /// holds nothing up any more: then one of those that have not, since whoever drops the handle runs below one (P1).
    pub(crate) fn daemon_to_wait_for(&mut self, whose: Option<u64>) -> Option<u64> {
        let scope = &mut self.scope;
        let mut waits = |id: sc_core::ChildId| scope.daemon_scope_opened(id).then_some(id.get());
        if let Some(own) = whose.map(sc_core::ChildId::new).and_then(&mut waits) {
            return Some(own);
        }
        let newest = self.scope.newest_daemon().filter(|_| self.scope.is_drained())?;
        self.scope.daemon_scope_opened(newest).then_some(newest.get())
    }

    /// Writes down what the scope decided; what concerns others, or runs user code, goes into `work`.
    pub(crate) fn apply(&mut self, node: &Arc<Node>, effects: Effects<BoxedError>, work: &mut Work) {
        // Exhaustive, so that a new effect cannot be overlooked here.
        let Effects {
            refuse,
            signal,
            stop,
            signal_daemon,
            stop_daemon,
            judge,
            settled,
            adopt,
            run_finalizer,
            deadline_moved,
            rearm,
            slow,
            unkept,
            closed,
        } = effects;
        let daemon_told = signal_daemon.is_some() || stop_daemon.is_some();
        self.changed |= rearm || stop || adopt || run_finalizer || closed || settled || daemon_told;
        self.adopted |= adopt;
        self.finalizer_due |= run_finalizer;
        if refuse {
            node.raise(REFUSING);
        }
        if let Some(cancelled) = signal {
            self.signal(node, &cancelled, work);
        }
        if stop {
            self.stop(node, work);
        }
        if let Some((id, cancelled)) = signal_daemon {
            self.signal_daemon(node, id.get(), cancelled, work);
        }
        if let Some(id) = stop_daemon {
            self.stop_daemon(node, id.get(), work);
        }
        if judge && !self.judging {
            self.judging = true;
            work.judge(node);
        }
        if settled {
            work.wake(self.waiters.take());
        }
        if deadline_moved {
            for below in self.nested.iter().filter(|below| !below.shielded && !below.owned) {
                work.deadline_below(&below.node, node);
            }
        }
        if let Some(slow) = slow {
            self.say_slow(node, slow, work);
        }
        work.unhandled(node.origin(), unkept);
        if closed {
            self.close(node, work);
        }
        if self.changed {
            work.wake(self.carrier.take());
        }
    }

    fn signal(&mut self, node: &Arc<Node>, cancelled: &Cancelled, work: &mut Work) {
        node.raise(CANCELLED);
        let due = self.scope.cancelled_at().is_some_and(|at| self.graces.begin(Instant::from_std(at)));
        if self.wakes_at_once || due {
            work.wake(self.present.take_wakers());
        }
        if let Some(token) = &self.token {
            work.cancel_token(token.clone());
        }
        work.wake(self.waiters.take());
        for below in self.nested.iter().filter(|below| !below.by_daemon) {
            // A child that was told alone before, and has not looked since, has another reason to hand down (P6).
            let alone = below.opener.and_then(|id| self.stops.told(id, false));
            match (alone, below.opener) {
                (Some(told), _) => work.cancel_below(&below.node, &told.cancelled, told.at.map(Instant::into_std)),
                (None, Some(id)) => work.cancel_below(&below.node, cancelled, self.stop_at(id)),
                (None, None) => work.cancel_below(&below.node, cancelled, self.scope.stop_at()),
            }
        }
        work.notice(Notice::Cancelled { origin: node.origin().clone(), cancelled: cancelled.clone() });
        if self.owner != Owner::Future {
            self.end_owner(work);
        }
    }

    fn stop(&mut self, node: &Arc<Node>, work: &mut Work) {
        node.raise(0);
        if self.lists_stopped {
            self.list_stopped();
        }
        let Self { ambient, shielded, .. } = self;
        work.abort(ambient.take_if(|id| !shielded.has(id)));
        work.wake(self.present.take_wakers());
    }

    /// The owner is the body of its scope, and code that cannot be stopped: a cancelled scope ends
    /// without it, and the outcome is that of the children.
    fn end_owner(&mut self, work: &mut Work) {
        let at = self.scope.cancelled_at().expect("a scope that signals is cancelled");
        let effects = self.scope.body_ended(BodyEnd::Value, None, at);
        debug_assert!(effects.unkept.is_empty(), "a body that ends with a value fails nothing");
        work.release(self.driver_hold.take());
    }

    /// Keeps the names of those who are dropped now, since their grace is over.
    fn list_stopped(&mut self) {
        let after = self.scope.cancelled_at().zip(self.scope.stop_at());
        let after = after.map(|(from, to)| to.saturating_duration_since(from)).unwrap_or_default();
        let alive = self.present.members(LISTED);
        self.note_stragglers(alive.into_iter().map(|member| Straggler::new(member, after)).collect());
    }

    fn note_stragglers(&mut self, mut alive: Vec<Straggler>) {
        if self.lists_stopped {
            alive = later(self.scope.report().stragglers.clone(), alive);
        }
        self.scope.note_stragglers(alive);
    }

    /// The grace of a cancelled scope ends earlier: so does that of the scopes below which share it.
    pub(crate) fn hasten_below(&self, work: &mut Work) {
        for below in self.nested.iter().filter(|below| !below.by_daemon && !below.shielded) {
            work.hasten_below(&below.node, self.scope.stop_at());
        }
    }

    fn signal_daemon(&mut self, node: &Arc<Node>, id: u64, cancelled: Cancelled, work: &mut Work) {
        self.daemon = Some(Box::new(DaemonTold { id, cancelled, since: Instant::now(), due: false }));
        node.raise(0);
        work.wake(self.present.take_wakers());
        work.wake(self.waiters.take());
    }

    fn stop_daemon(&mut self, node: &Arc<Node>, id: u64, work: &mut Work) {
        if let Some(told) = self.daemon.as_mut().filter(|told| told.id == id) {
            told.due = true;
        }
        node.raise(0);
        work.wake(self.present.take_wakers());
    }

    fn say_slow(&mut self, node: &Arc<Node>, slow: sc_core::Slow, work: &mut Work) {
        let members = self.present.members(NAMED);
        if slow.draining {
            self.note_stragglers(members.iter().map(|member| Straggler::new(member.clone(), slow.waited)).collect());
        }
        work.notice(Notice::Slow { node: Arc::clone(node), slow });
    }

    fn close(&mut self, node: &Arc<Node>, work: &mut Work) {
        node.raise(CLOSED | REFUSING);
        work.wake(self.observer.take());
        work.wake(self.waiters.take());
        work.discard(node, self.policy.take());
        if let Some(token) = self.token.take() {
            // Whoever still watches it is to know that the scope is over.
            work.cancel_token(token);
        }
        if let Some(shield) = self.shield.take() {
            work.unshield(shield.into_frames(), node.id());
        }
        work.closed(self.parent.take());
    }
}

/// What was listed before, with those who are still alive brought up to date.
fn later(mut listed: Vec<Straggler>, alive: Vec<Straggler>) -> Vec<Straggler> {
    for straggler in alive {
        let is_same = |known: &Straggler| known.member == straggler.member && known.after < straggler.after;
        match listed.iter().position(is_same) {
            Some(known) => listed[known] = straggler,
            None if listed.len() < LISTED => listed.push(straggler),
            None => {}
        }
    }
    listed
}

/// The books inside their node. What they hold to the end is partly the user's, as the cause of the
/// cancellation; its destructors run wherever the last pointer to the node goes, and must not
/// unwind from there.
#[derive(Debug)]
pub(crate) struct Kept(Option<Books>);

impl Kept {
    #[inline]
    pub(crate) fn new(books: Books) -> Self {
        Self(Some(books))
    }
}

impl std::ops::Deref for Kept {
    type Target = Books;

    fn deref(&self) -> &Books {
        self.0.as_ref().expect("only `drop` takes the books")
    }
}

impl std::ops::DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Books {
        self.0.as_mut().expect("only `drop` takes the books")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let origin = self.scope.config().origin.clone();
        // In place: they are large.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.0 = None)) {
            let failure = Failure::Panic(Panic::new(payload));
            let record = FailureRecord { member: Member::some_child(), failure };
            crate::hook::unhandled(&origin, record);
        }
    }
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Books")
            .field("phase", &self.scope.phase())
            .field("cancelled", &self.scope.cancelled())
            .field("nested", &self.nested.holds())
            .finish_non_exhaustive()
    }
}

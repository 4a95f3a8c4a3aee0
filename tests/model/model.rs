//! The model: what `docs/DESIGN.md` says will happen, worked out slowly.
//!
//! Nothing here waits or is woken. Time jumps to the next instant at which anything can happen; then rules are applied
//! until none applies. Every question is answered by looking through everything there is.
//!
//! Not modelled: ties (two causes at one instant; [`expected`] gives up on such a program), blocking children (their time is
//! not virtual), own policies and joiners, `cancel_on`, `set_deadline`, tokens, values, owned scopes, join sets, shutdown, the
//! root of a program, places and names, stragglers, and in which order the hook is told. What programs leave out so that
//! this can stay obvious is in `program/generate/restrict.rs`.

mod ambient;
mod frames;
mod groups;
mod leaks;
mod limits;
mod resources;
mod scopes;
mod shields;
mod starts;

use std::collections::{BTreeMap, BTreeSet};

use self::groups::Joining;
use self::limits::Limit;
use crate::log::{At, Decided, Entry, How, Log, Raised, Seen, Summary};
use crate::program::{self, Act, Code, End, Finalizer, Group, Kind, Program, Resource, Scope, Shield, Span, Task};

/// Two things happen at one instant that are not connected: what follows depends on nobody's promise.
#[derive(Debug)]
pub(crate) struct Tie;

#[derive(Default)]
pub(crate) struct Expected {
    pub(crate) log: Log,
    /// Daemons that end in their turn, and whose they are.
    pub(crate) daemons: BTreeMap<usize, usize>,
    /// Whose captures or output a forgotten future or handle owns.
    pub(crate) leaked: BTreeSet<usize>,
    /// Children that began when they had a seat, and not when they were spawned.
    pub(crate) seated: BTreeSet<usize>,
    /// How often each feature was used to some effect.
    pub(crate) seen: BTreeMap<String, u64>,
}

/// Works out what a program does.
pub(crate) fn expected(program: &Program) -> Result<Expected, Tie> {
    let limits = program.limits.iter().map(|size| Limit::new(usize::from(*size))).collect();
    let mut world = World { scopes: Vec::new(), frames: Vec::new(), limits, now: 0, told: Expected::default() };
    let root = world.open(Settings::of(&program.root), None, None);
    world.settle();
    while world.scopes[root].closed.is_none() {
        world.pass_time()?;
        world.settle();
    }
    let outcome = world.summary(root);
    world.log(Entry::Resolved { frame: None, scope: program.root.id, outcome });
    Ok(world.told)
}

struct World<'p> {
    now: At,
    scopes: Vec<ScopeState<'p>>,
    frames: Vec<Frame<'p>>,
    limits: Vec<Limit<'p>>,
    told: Expected,
}

/// What a scope is opened with.
#[derive(Clone, Copy)]
struct Settings<'p> {
    /// Its number in the program; a child's own deadline makes a scope that has none.
    id: Option<usize>,
    supervise: bool,
    timeout: Option<At>,
    grace: Option<At>,
    finalizer_timeout: At,
    /// A shield's length.
    shield: Option<At>,
    limit: Option<usize>,
    /// `None` where it opens a scope, and does nothing else.
    body: Option<&'p Code>,
}

impl<'p> Settings<'p> {
    fn of(scope: &'p Scope) -> Self {
        Self {
            id: Some(scope.id),
            supervise: scope.supervise,
            timeout: scope.timeout.map(|span| span.ms),
            grace: scope.grace.map(|span| span.ms),
            finalizer_timeout: scope.finalizer_timeout.ms,
            shield: None,
            limit: scope.limit,
            body: Some(&scope.body),
        }
    }
}

#[allow(clippy::struct_excessive_bools, reason = "obvious rather than clever")]
struct ScopeState<'p> {
    settings: Settings<'p>,
    opener: Option<usize>,
    opened_at: At,
    body: usize,
    body_ended: bool,
    value: bool,
    /// A failure of the body that came after a cancellation.
    late: Option<Seen>,
    future_gone: bool,
    /// Nobody polls it, and it has not been dropped.
    forgotten: bool,
    /// The reason, and whether it was inherited.
    cancelled: Option<(String, bool)>,
    cancelled_at: At,
    /// Since when it or its surroundings are cancelled.
    since: At,
    /// Its body awaited a child that could give no value.
    awaited_dead: bool,
    /// What a shield keeps out, and until when.
    pending: Option<(String, At)>,
    /// The scope of a join.
    join: Option<Joining<'p>>,
    /// Its time is over.
    unshielded: bool,
    /// The error that the code in a shield gave, a value to the shield.
    carried: Option<Seen>,
    /// When what still runs is dropped; of a cancelled scope.
    stop_at: At,
    cut_short: bool,
    primary: Option<Seen>,
    further: Vec<Seen>,
    counts: [u64; 6],
    drained: bool,
    /// The daemon whose turn it is to end, and when it is dropped.
    turn: Option<(usize, At)>,
    turn_since: At,
    finalizers: Vec<&'p Finalizer>,
    finalizing: Option<(&'p Finalizer, At)>,
    closed: Option<At>,
}

const SPAWNED: usize = 0;
const SUCCEEDED: usize = 1;
const FAILED: usize = 2;
const PANICKED: usize = 3;
const CANCELLED: usize = 4;
const REFUSED: usize = 5;

struct Frame<'p> {
    /// `None` for what is around the code of a child with a deadline of its own.
    code: Option<&'p Code>,
    /// Whose member it is.
    scope: usize,
    /// Where it spawns, if it can.
    here: Option<usize>,
    /// `None` for a body.
    task: Option<&'p Task>,
    borrowed: bool,
    next: usize,
    doing: Doing<'p>,
    handles: Vec<usize>,
    /// Told to stop from inside: why, when it is dropped, and since when.
    stop: Option<(String, At, At)>,
    has_handle: bool,
    /// Its handle is leaked, and so is a value that it gives.
    handle_leaked: bool,
    start: Readiness,
    seat: Seat,
    /// What releases what it acquires.
    release: Option<&'p Finalizer>,
    /// The resources it has a lease of, by what acquired them.
    leases: Vec<usize>,
    /// Tasks whose handles it has.
    tasks: Vec<usize>,
    /// The error that a task gave, a value to its scope.
    output: Option<Seen>,
    /// A failure that waits for whoever joins.
    unclaimed: Option<Seen>,
}

/// Whether a child has said that it is ready.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readiness {
    /// Nobody asked.
    Spawned,
    Starting,
    Ready,
    /// It ended before, or nobody waits any more.
    Over,
}

/// Its place under its scope's limit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seat {
    Unneeded,
    /// It has not begun.
    Queued,
    Held,
    /// To a child that it awaits.
    Lent(usize),
}

#[derive(Clone)]
enum Doing<'p> {
    NotBegun,
    Sleeping(At),
    Awaiting(usize),
    Joining(usize),
    Stopping(usize),
    /// Waits for a child to be ready, and for how long.
    Starting(usize, Option<At>),
    /// Waits for a seat for this child.
    Reserving(&'p Task),
    Acquiring(usize, &'p Resource),
    /// Waits for a task of its scope.
    AwaitingTask(usize),
    /// In a scope: which, and what happens then.
    Inside(usize, Then),
    /// About to go on with this result of a scope.
    Trying(At, Seen),
    /// The body of a join: waits for its children.
    Collecting,
    /// Part of a forgotten future.
    Leaked,
    Ended(Exit),
}

#[derive(Clone, Copy)]
enum Then {
    Outcome,
    DroppedAt(At),
    ForgottenAt(At),
    Try(At),
    /// It learns what became of a join.
    Learn,
    /// The child with a deadline of its own ends as its code did.
    Forward,
    /// It was cancelled from above, and waits for its own end.
    Nothing,
}

/// How a child ended, as its handle finds.
#[derive(Clone)]
enum Exit {
    Value,
    Failed,
    /// Why, if not for its scope's reason.
    Cancelled(Option<String>),
    AwaitedDead,
}

/// How a frame ends.
enum Ending {
    Value,
    Failed(Seen),
    /// It is to stop.
    Dropped,
    /// It awaited a child that gave no value, with what it took from that.
    AwaitedDead(Option<Seen>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nobody,
    ByScope,
    FromInside,
}

impl World<'_> {
    fn log(&mut self, entry: Entry) {
        self.told.log.0.push((self.now, entry));
    }

    fn seen(&mut self, what: impl Into<String>) {
        *self.told.seen.entry(what.into()).or_default() += 1;
    }

    fn is_live(&self, frame: usize) -> bool {
        !matches!(self.frames[frame].doing, Doing::Ended(_))
    }

    fn is_daemon(&self, frame: usize) -> bool {
        self.frames[frame].task.is_some_and(|task| task.kind == Kind::Daemon)
    }

    fn own_grace(&self, frame: usize) -> Option<At> {
        self.frames[frame].task?.grace.map(|span| span.ms)
    }

    /// The scopes that a frame opened and that are open.
    fn opened_by(&self, frame: usize) -> Vec<usize> {
        let is_open = |scope: &ScopeState<'_>| scope.opener == Some(frame) && scope.closed.is_none();
        (0..self.scopes.len()).filter(|scope| is_open(&self.scopes[*scope])).collect()
    }

    fn members(&self, scope: usize) -> Vec<usize> {
        (0..self.frames.len()).filter(|frame| self.frames[*frame].scope == scope).collect()
    }

    // Time.

    /// When something happens by itself.
    fn own_events(&self) -> Vec<At> {
        let mut events = Vec::new();
        for frame in &self.frames {
            match frame.doing {
                Doing::Sleeping(at)
                | Doing::Trying(at, _)
                | Doing::Starting(_, Some(at))
                | Doing::Inside(_, Then::DroppedAt(at) | Then::ForgottenAt(at)) => events.push(at),
                _ => {}
            }
        }
        for scope in &self.scopes {
            events.extend(scope.deadline());
            events.extend(scope.shield_over());
            if let Some((finalizer, began)) = scope.finalizing {
                events.push(began + finalizer.takes.ms.min(scope.settings.finalizer_timeout));
            }
        }
        events
    }

    /// When somebody is dropped who was told to stop. Some of these are one and the same instant.
    fn stops(&self) -> Vec<At> {
        let live = (0..self.frames.len()).filter(|frame| self.is_live(*frame) && !self.is_shielded(*frame));
        live.filter_map(|frame| self.stops_at(frame)).collect()
    }

    /// When a frame is dropped, if it has been told to stop (P9).
    fn stops_at(&self, frame: usize) -> Option<At> {
        let Frame { scope, stop, task, doing, .. } = &self.frames[frame];
        let scope = &self.scopes[*scope];
        if matches!(doing, Doing::Leaked) || (scope.forgotten && scope.stop_at > scope.cancelled_at) {
            return None;
        }
        if let Some((_, at, _)) = stop {
            return Some(*at);
        }
        if self.is_daemon(frame) {
            return scope.turn.filter(|(daemon, _)| *daemon == frame).map(|(_, at)| at);
        }
        scope.cancelled.as_ref()?;
        match task.and(self.own_grace(frame)) {
            Some(grace) => Some(scope.cancelled_at + grace),
            None => Some(scope.stop_at),
        }
    }

    fn pass_time(&mut self) -> Result<(), Tie> {
        let (events, stops) = (self.own_events(), self.stops());
        let next = events.iter().chain(&stops).copied().min().expect("a program that is not at its end goes on");
        let causes = events.iter().filter(|at| **at == next).count() + usize::from(stops.contains(&next));
        if causes > 1 {
            return Err(Tie);
        }
        self.now = next;
        for scope in 0..self.scopes.len() {
            if self.scopes[scope].deadline() == Some(next) {
                self.cancel(scope, "Deadline", false, next);
            }
            if self.scopes[scope].shield_over() == Some(next) {
                self.end_shield(scope);
                if self.is_tangled(scope) {
                    return Err(Tie);
                }
            }
            self.end_finalizer(scope);
        }
        for frame in 0..self.frames.len() {
            match self.frames[frame].doing.clone() {
                Doing::Sleeping(at) if at == next => self.act(frame),
                Doing::Trying(at, what) if at == next => match what {
                    Seen::Value => self.go_on(frame),
                    failure => self.end(frame, Ending::Failed(failure)),
                },
                Doing::Starting(child, Some(at)) if at == next => {
                    self.give_up(child);
                    self.go_on(frame);
                }
                Doing::Inside(scope, Then::DroppedAt(at)) if at == next => {
                    self.seen("a scope's future dropped");
                    self.drop_future(scope);
                    self.go_on(frame);
                }
                Doing::Inside(scope, Then::ForgottenAt(at)) if at == next => {
                    self.seen("a scope's future forgotten");
                    self.forget(scope)?;
                    self.go_on(frame);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Applies rules until none applies.
    fn settle(&mut self) {
        while self.drop_somebody()
            || self.answer_somebody()
            || self.take_a_step()
            || self.lend_somebody()
            || self.collect_somewhere()
            || self.drop_somebody_late()
        {}
    }
}

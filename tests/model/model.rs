//! The model: what `docs/DESIGN.md` says will happen, worked out slowly.
//!
//! Nothing here waits or is woken. Time jumps to the next instant at which anything can happen; then rules are applied
//! until none applies. Every question is answered by looking through everything there is.
//!
//! Not modelled: ties (two causes at one instant; [`expected`] gives up on such a program), blocking children, ambient
//! tasks, own policies, `cancel_on`, `set_deadline`, forgotten futures, tokens, values, owned scopes, shutdown, the root
//! of a program, places and names, stragglers, and in which order the hook is told.

use std::collections::BTreeMap;

use crate::log::{At, Entry, How, Log, Raised, Seen, Summary};
use crate::program::{Act, Code, End, Finalizer, Kind, Program, Scope, Span, Task};

/// Two things happen at one instant that are not connected: what follows depends on nobody's promise.
#[derive(Debug)]
pub(crate) struct Tie;

#[derive(Default)]
pub(crate) struct Expected {
    pub(crate) log: Log,
    /// Daemons that end in their turn, and whose they are.
    pub(crate) daemons: BTreeMap<usize, usize>,
    /// How often each feature was used to some effect.
    pub(crate) seen: BTreeMap<String, u64>,
}

/// Works out what a program does.
pub(crate) fn expected(program: &Program) -> Result<Expected, Tie> {
    let mut world = World { scopes: Vec::new(), frames: Vec::new(), now: 0, told: Expected::default() };
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
    body: &'p Code,
}

impl<'p> Settings<'p> {
    fn of(scope: &'p Scope) -> Self {
        Self {
            id: Some(scope.id),
            supervise: scope.supervise,
            timeout: scope.timeout.map(|span| span.ms),
            grace: scope.grace.map(|span| span.ms),
            finalizer_timeout: scope.finalizer_timeout.ms,
            body: &scope.body,
        }
    }
}

struct ScopeState<'p> {
    settings: Settings<'p>,
    opener: Option<usize>,
    opened_at: At,
    body: usize,
    body_ended: bool,
    value: bool,
    future_gone: bool,
    /// The reason, and whether it was inherited.
    cancelled: Option<(String, bool)>,
    cancelled_at: At,
    /// When what still runs is dropped; of a cancelled scope.
    stop_at: At,
    cut_short: bool,
    primary: Option<Seen>,
    further: Vec<Seen>,
    counts: [u64; 6],
    drained: bool,
    /// The daemon whose turn it is to end, and when it is dropped.
    turn: Option<(usize, At)>,
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
    doing: Doing,
    handles: Vec<usize>,
    /// Told to stop from inside: why, and when it is dropped.
    stop: Option<(String, At)>,
    has_handle: bool,
    /// A failure that waits for whoever joins.
    unclaimed: Option<Seen>,
}

#[derive(Clone)]
enum Doing {
    Sleeping(At),
    Awaiting(usize),
    Joining(usize),
    Stopping(usize),
    /// In a scope: which, and what happens then.
    Inside(usize, Then),
    /// About to go on with this result of a scope.
    Trying(At, Seen),
    Ended(Exit),
}

#[derive(Clone, Copy)]
enum Then {
    Outcome,
    DroppedAt(At),
    Try(At),
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

impl<'p> World<'p> {
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
                Doing::Sleeping(at) | Doing::Trying(at, _) | Doing::Inside(_, Then::DroppedAt(at)) => events.push(at),
                _ => {}
            }
        }
        for scope in &self.scopes {
            events.extend(scope.deadline());
            if let Some((finalizer, began)) = scope.finalizing {
                events.push(began + finalizer.takes.ms.min(scope.settings.finalizer_timeout));
            }
        }
        events
    }

    /// When somebody is dropped who was told to stop. Some of these are one and the same instant.
    fn stops(&self) -> Vec<At> {
        let live = (0..self.frames.len()).filter(|frame| self.is_live(*frame));
        live.filter_map(|frame| self.stops_at(frame)).collect()
    }

    /// When a frame is dropped, if it has been told to stop (P9).
    fn stops_at(&self, frame: usize) -> Option<At> {
        let Frame { scope, stop, task, .. } = &self.frames[frame];
        let scope = &self.scopes[*scope];
        if let Some((_, at)) = stop {
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
            self.end_finalizer(scope);
        }
        for frame in 0..self.frames.len() {
            match self.frames[frame].doing.clone() {
                Doing::Sleeping(at) if at == next => self.act(frame),
                Doing::Trying(at, what) if at == next => match what {
                    Seen::Value => self.go_on(frame),
                    failure => self.end(frame, Ending::Failed(failure)),
                },
                Doing::Inside(scope, Then::DroppedAt(at)) if at == next => {
                    self.seen("a scope's future dropped");
                    self.drop_future(scope);
                    self.go_on(frame);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Applies rules until none applies.
    fn settle(&mut self) {
        while self.drop_somebody() || self.answer_somebody() || self.take_a_step() {}
    }

    fn drop_somebody(&mut self) -> bool {
        let due = |frame: &usize| self.is_live(*frame) && self.stops_at(*frame).is_some_and(|at| at <= self.now);
        let Some(frame) = (0..self.frames.len()).find(due) else { return false };
        self.end(frame, Ending::Dropped);
        true
    }

    /// Gives a frame what it waits for.
    fn answer_somebody(&mut self) -> bool {
        for frame in 0..self.frames.len() {
            match self.frames[frame].doing.clone() {
                Doing::Awaiting(child) | Doing::Joining(child) | Doing::Stopping(child) if !self.is_live(child) => {
                    self.answer(frame, child);
                    return true;
                }
                Doing::Inside(scope, then) if self.scopes[scope].closed.is_some() => {
                    if self.leave_scope(frame, scope, then) {
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }

    fn take_a_step(&mut self) -> bool {
        (0..self.scopes.len()).any(|scope| self.teardown(scope))
    }

    // Frames.

    fn begin(&mut self, frame: Frame<'p>) -> usize {
        let code = frame.code;
        self.frames.push(frame);
        let frame = self.frames.len() - 1;
        if let Some(code) = code {
            self.log(Entry::Began(code.id));
            self.go_on(frame);
        }
        frame
    }

    /// Sleeps before the next step.
    fn go_on(&mut self, frame: usize) {
        let now = self.now;
        let Frame { code, next, doing, .. } = &mut self.frames[frame];
        let code = code.expect("what has no code waits for a scope");
        let span = code.steps.get(*next).map_or(code.last, |step| step.sleep);
        *doing = Doing::Sleeping(now + span.ms);
    }

    fn act(&mut self, frame: usize) {
        let Frame { code, next, here, .. } = &mut self.frames[frame];
        let (code, here) = (code.expect("it sleeps"), *here);
        let Some(step) = code.steps.get(*next) else {
            let ending = match code.end {
                End::Value => Ending::Value,
                End::Error => Ending::Failed(Seen::Error(Raised::By(code.id))),
                End::Panic => Ending::Failed(Seen::Panic(code.id)),
            };
            return self.end(frame, ending);
        };
        *next += 1;
        match (&step.act, here) {
            (Act::Spawn(task), Some(scope)) => self.spawn(frame, scope, task),
            (Act::Await(which) | Act::Join(which) | Act::Stop(which, _) | Act::DropHandle(which), _) => {
                return self.use_handle(frame, *which, &step.act);
            }
            (Act::Cancel, Some(scope)) => {
                self.seen("cancel");
                self.cancel(scope, "Requested", false, self.now);
            }
            (Act::CancelChildren, Some(scope)) => self.cancel_children(scope),
            (Act::Defer(finalizer), Some(scope)) => self.scopes[scope].finalizers.push(finalizer),
            (Act::Spawn(_) | Act::Cancel | Act::CancelChildren | Act::Defer(_), None) => {}
            (Act::Nest(scope), _) => return self.enter(frame, scope, Then::Outcome),
            (Act::NestDropped(scope, after), _) => {
                return self.enter(frame, scope, Then::DroppedAt(self.now + after.ms));
            }
            (Act::NestTried(scope, after), _) => return self.enter(frame, scope, Then::Try(after.ms)),
        }
        self.go_on(frame);
    }

    fn use_handle(&mut self, frame: usize, which: u8, act: &Act) {
        let handles = &mut self.frames[frame].handles;
        if handles.is_empty() {
            return self.go_on(frame);
        }
        let child = handles.remove(usize::from(which) % handles.len());
        match act {
            Act::Await(_) => self.frames[frame].doing = Doing::Awaiting(child),
            Act::Join(_) => self.frames[frame].doing = Doing::Joining(child),
            Act::Stop(_, waits) => {
                self.stop(child, "Requested");
                if *waits {
                    self.frames[frame].doing = Doing::Stopping(child);
                } else {
                    self.drop_handle(child);
                    self.saw(frame, child, Seen::Stopped);
                    self.go_on(frame);
                }
            }
            _ => {
                self.drop_handle(child);
                self.go_on(frame);
            }
        }
    }

    fn spawn(&mut self, spawner: usize, scope: usize, task: &'p Task) {
        let is_body = self.frames[spawner].task.is_none() && self.frames[spawner].scope == scope;
        let is_bound = task.timeout.is_some();
        let here = (task.kind == Kind::With).then_some(scope);
        let mut child = Frame {
            code: (!is_bound).then_some(&task.code),
            scope,
            here,
            task: Some(task),
            borrowed: task.kind == Kind::Borrowed && is_body,
            next: 0,
            doing: Doing::Sleeping(0),
            handles: Vec::new(),
            stop: None,
            has_handle: true,
            unclaimed: None,
        };
        if self.scopes[scope].cancelled.is_some() {
            // P7
            self.seen("a child refused");
            self.scopes[scope].counts[REFUSED] += 1;
            self.scopes[scope].cut_short = true;
            child.doing = Doing::Ended(Exit::Cancelled(None));
            self.frames.push(child);
            let child = self.frames.len() - 1;
            return self.frames[spawner].handles.push(child);
        }
        self.scopes[scope].counts[SPAWNED] += 1;
        let kind = if child.borrowed { "borrowed" } else { "spawned" };
        self.seen(format!("{kind} {:?}{}", task.kind, if task.isolated { " isolated" } else { "" }));
        let child = self.begin(child);
        self.frames[spawner].handles.push(child);
        if let Some(timeout) = task.timeout {
            self.bound(child, scope, here, task, timeout);
        }
    }

    /// The code of a child with a deadline runs in a scope of its own.
    fn bound(&mut self, child: usize, scope: usize, here: Option<usize>, task: &'p Task, timeout: Span) {
        self.seen("a child's own deadline");
        let grace = task.grace.map(|span| span.ms).or(self.scopes[scope].settings.grace);
        let body = &task.code;
        let timeout = Some(timeout.ms);
        let settings = Settings { id: None, supervise: false, timeout, grace, finalizer_timeout: 0, body };
        let inner = self.open(settings, Some(child), here);
        self.frames[child].doing = Doing::Inside(inner, Then::Forward);
    }

    fn told(&self, frame: usize) -> Told {
        let Frame { scope, stop, .. } = &self.frames[frame];
        let scope = &self.scopes[*scope];
        match (stop, self.is_daemon(frame)) {
            (Some(_), _) => Told::FromInside,
            (None, true) if scope.turn.is_some_and(|(daemon, _)| daemon == frame) => Told::FromInside,
            (None, true) => Told::Nobody,
            (None, false) if scope.cancelled.is_some() => Told::ByScope,
            (None, false) => Told::Nobody,
        }
    }

    /// A frame ends and is dropped, with what it has open.
    fn end(&mut self, frame: usize, ending: Ending) {
        let told = self.told(frame);
        let exit = match &ending {
            Ending::Value => Exit::Value,
            Ending::Failed(_) | Ending::AwaitedDead(Some(_)) => Exit::Failed,
            Ending::AwaitedDead(None) => Exit::AwaitedDead,
            Ending::Dropped => Exit::Cancelled(self.reason_from_inside(frame)),
        };
        let inside = match std::mem::replace(&mut self.frames[frame].doing, Doing::Ended(exit)) {
            Doing::Inside(scope, _) => Some(scope),
            Doing::Awaiting(child) | Doing::Joining(child) | Doing::Stopping(child) => {
                self.drop_handle(child);
                None
            }
            _ => None,
        };
        if let Some(scope) = inside {
            self.drop_future(scope);
        }
        if let Some(code) = self.frames[frame].code {
            let how = match &ending {
                Ending::Value => How::Value,
                Ending::Failed(Seen::Panic(_)) => How::Panic,
                Ending::Failed(_) => How::Error,
                Ending::Dropped | Ending::AwaitedDead(_) => How::Dropped,
            };
            self.log(Entry::Ended(code.id, how));
        }
        for child in std::mem::take(&mut self.frames[frame].handles) {
            self.drop_handle(child);
        }
        let scope = self.frames[frame].scope;
        if self.frames[frame].task.is_some() {
            self.record_exit(frame, scope, told, ending);
        } else if !self.scopes[scope].future_gone {
            self.record_body(scope, ending);
        } else {
            self.scopes[scope].body_ended = true;
        }
    }

    fn reason_from_inside(&self, frame: usize) -> Option<String> {
        if let Some((reason, _)) = &self.frames[frame].stop {
            return Some(reason.clone());
        }
        let scope = &self.scopes[self.frames[frame].scope];
        let in_turn = scope.turn.is_some_and(|(daemon, _)| daemon == frame);
        in_turn.then(|| scope.reason_or("WorkDone"))
    }

    // Handles.

    fn saw(&mut self, frame: usize, child: usize, what: Seen) {
        let id = self.frames[frame].code.expect("it waits for a child").id;
        let child = self.frames[child].task.expect("handles are of children").code.id;
        self.log(Entry::Saw { frame: id, child, what });
    }

    /// What the handle of an ended child gives, and takes.
    fn claim(&mut self, child: usize) -> Seen {
        let scope = self.frames[child].scope;
        let exit = match &self.frames[child].doing {
            Doing::Ended(exit) => exit.clone(),
            _ => unreachable!("the child has ended"),
        };
        let unclaimed = self.frames[child].unclaimed.take();
        match exit {
            Exit::Value => Seen::Value,
            Exit::Failed => unclaimed.unwrap_or(Seen::Owned),
            Exit::Cancelled(Some(reason)) => Seen::Cancelled(reason),
            Exit::Cancelled(None) => Seen::Cancelled(self.scopes[scope].reason_or("RuntimeEnded")),
            Exit::AwaitedDead => unclaimed.unwrap_or(Seen::Cancelled(self.scopes[scope].reason_or("AwaitedChild"))),
        }
    }

    fn answer(&mut self, frame: usize, child: usize) {
        let doing = self.frames[frame].doing.clone();
        if matches!(doing, Doing::Stopping(_)) {
            self.seen("stopped and waited for");
            self.drop_handle(child);
            self.saw(frame, child, Seen::Stopped);
            return self.go_on(frame);
        }
        let what = self.claim(child);
        self.frames[child].has_handle = false;
        if matches!(doing, Doing::Joining(_)) {
            self.seen(match &what {
                Seen::Value => "joined a value",
                Seen::Owned => "joined what the scope owns",
                Seen::Cancelled(_) => "joined a cancellation",
                _ => "joined a failure",
            });
            self.saw(frame, child, what);
            return self.go_on(frame);
        }
        match what {
            Seen::Value => {
                self.seen("awaited a value");
                self.saw(frame, child, Seen::Value);
                self.go_on(frame);
            }
            // "I need it; if it failed, this block ends with its failure."
            failure => {
                self.seen("awaited a dead child");
                let failure = Some(failure).filter(|failure| matches!(failure, Seen::Error(_) | Seen::Panic(_)));
                let owner = self.frames[child].scope;
                if self.frames[frame].scope == owner {
                    self.end(frame, Ending::AwaitedDead(failure));
                } else {
                    // The frame is of another scope: the error stays with its owner.
                    self.scopes[owner].further.extend(failure);
                    self.end(frame, Ending::AwaitedDead(None));
                }
            }
        }
    }

    /// A failure that its handle left unread goes to the further failures (P4).
    fn drop_handle(&mut self, child: usize) {
        self.frames[child].has_handle = false;
        let scope = self.frames[child].scope;
        if let Some(failure) = self.frames[child].unclaimed.take() {
            self.seen("a failure left unread");
            self.scopes[scope].further.push(failure);
        }
    }

    // Stopping.

    /// Stops a child from inside. The first to tell it wins (P6).
    fn stop(&mut self, child: usize, reason: &str) {
        if !self.is_live(child) || self.told(child) != Told::Nobody {
            return;
        }
        self.seen("a child stopped from inside");
        let grace = self.own_grace(child).or(self.scopes[self.frames[child].scope].settings.grace);
        let at = self.now + grace.unwrap_or(0);
        self.frames[child].stop = Some((reason.to_owned(), at));
        for scope in self.opened_by(child) {
            self.cancel(scope, reason, true, at);
        }
    }

    fn cancel_children(&mut self, scope: usize) {
        self.seen("cancel_children");
        for child in self.members(scope) {
            if self.frames[child].task.is_some() {
                self.stop(child, "Requested");
            }
        }
    }

    /// Cancels a scope and what is below. The first reason wins (P6).
    fn cancel(&mut self, scope: usize, reason: &str, inherited: bool, stop_at: At) {
        let now = self.now;
        let state = &mut self.scopes[scope];
        if state.cancelled.is_some() || state.closed.is_some() || state.finalizing.is_some() {
            return;
        }
        state.cancelled = Some((reason.to_owned(), inherited));
        state.cancelled_at = now;
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
            let until = self.stops_at(member).expect("the scope is cancelled");
            for below in self.opened_by(member) {
                self.cancel(below, reason, true, until);
            }
        }
    }

    // Scopes.

    fn enter(&mut self, frame: usize, scope: &'p Scope, then: Then) {
        let scope = self.open(Settings::of(scope), Some(frame), None);
        self.frames[frame].doing = Doing::Inside(scope, then);
    }

    /// Opens a scope. Its body spawns into it, or into `here`.
    fn open(&mut self, settings: Settings<'p>, opener: Option<usize>, here: Option<usize>) -> usize {
        let scope = self.scopes.len();
        self.scopes.push(ScopeState {
            settings,
            opener,
            opened_at: self.now,
            body: usize::MAX,
            body_ended: false,
            value: false,
            future_gone: false,
            cancelled: None,
            cancelled_at: 0,
            stop_at: 0,
            cut_short: false,
            primary: None,
            further: Vec::new(),
            counts: [0; 6],
            drained: false,
            turn: None,
            finalizers: Vec::new(),
            finalizing: None,
            closed: None,
        });
        let here = if settings.id.is_some() { Some(scope) } else { here };
        let body = Frame {
            code: Some(settings.body),
            scope,
            here,
            task: None,
            borrowed: false,
            next: 0,
            doing: Doing::Sleeping(0),
            handles: Vec::new(),
            stop: None,
            has_handle: false,
            unclaimed: None,
        };
        self.scopes[scope].body = self.begin(body);
        if let Some(opener) = opener {
            self.inherit(scope, opener);
        }
        scope
    }

    /// A scope that is opened in a grace is cancelled from the start.
    fn inherit(&mut self, scope: usize, opener: usize) {
        let Some(until) = self.stops_at(opener) else { return };
        let outer = self.frames[opener].scope;
        let reason = self.reason_from_inside(opener).unwrap_or_else(|| self.scopes[outer].reason_or(""));
        self.seen("a scope opened in a grace");
        self.cancel(scope, &reason, true, until);
    }

    /// The future of a scope is dropped (P3).
    fn drop_future(&mut self, scope: usize) {
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
    fn leave_scope(&mut self, frame: usize, scope: usize, then: Then) -> bool {
        match then {
            Then::Outcome | Then::DroppedAt(_) => {
                let outcome = self.summary(scope);
                let (id, scope) = (self.id_of(frame), self.scopes[scope].settings.id.expect("it is in the program"));
                self.log(Entry::Resolved { frame: Some(id), scope, outcome });
                self.go_on(frame);
            }
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
            Then::Forward => {
                let inherited = self.scopes[scope].cancelled.as_ref().is_some_and(|(_, inherited)| *inherited);
                match self.scopes[scope].result() {
                    Seen::Value => self.end(frame, Ending::Value),
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

    fn id_of(&self, frame: usize) -> usize {
        self.frames[frame].code.expect("frames of the program have code").id
    }

    fn record_body(&mut self, scope: usize, ending: Ending) {
        let state = &mut self.scopes[scope];
        state.body_ended = true;
        match ending {
            Ending::Value => state.value = true,
            Ending::Dropped => state.cut_short = true,
            Ending::AwaitedDead(None) => {
                state.cut_short = true;
                self.cancel(scope, "AwaitedChild", false, self.now);
            }
            Ending::Failed(failure) | Ending::AwaitedDead(Some(failure)) => {
                if state.cancelled.is_some() {
                    state.cut_short = true;
                    state.further.push(failure);
                } else {
                    self.decide(scope, failure);
                }
            }
        }
    }

    /// The exit of a child, and whose its failure is (P4, P5).
    fn record_exit(&mut self, frame: usize, scope: usize, told: Told, ending: Ending) {
        let task = self.frames[frame].task.expect("bodies have no exit");
        let is_daemon = task.kind == Kind::Daemon;
        let has_handle = self.frames[frame].has_handle;
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
        state.cut_short |= state.cancelled.is_some() && !task.isolated && told != Told::FromInside;
        if task.isolated || state.settings.supervise {
            if has_handle {
                self.frames[frame].unclaimed = Some(failure);
            } else {
                state.further.push(failure);
            }
        } else if told != Told::Nobody || state.cancelled.is_some() {
            self.scopes[scope].further.push(failure);
            self.seen("a secondary failure");
        } else {
            self.decide(scope, failure);
        }
    }

    /// The first failure that the policy does not continue past (P5).
    fn decide(&mut self, scope: usize, failure: Seen) {
        if let Seen::Cancelled(reason) = failure {
            self.scopes[scope].cut_short = true;
            return self.cancel(scope, &reason, false, self.now);
        }
        self.scopes[scope].primary = Some(failure);
        self.cancel(scope, "ChildFailed", false, self.now);
    }

    // The end of a scope (P10).

    fn teardown(&mut self, scope: usize) -> bool {
        let state = &self.scopes[scope];
        if state.closed.is_some() || state.finalizing.is_some() {
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
            let told = self.scopes[scope].kind().to_owned();
            self.scopes[scope].finalizing = Some((finalizer, self.now));
            self.log(Entry::Finalizing { scope: self.number(scope), id: finalizer.id, told });
        } else {
            self.scopes[scope].closed = Some(self.now);
            self.seen(format!("outcome: {}", self.scopes[scope].kind()));
        }
        true
    }

    fn number(&self, scope: usize) -> usize {
        self.scopes[scope].settings.id.expect("nobody defers or spawns in a scope without a number")
    }

    /// Body and ordinary children have ended, and the scopes that they opened.
    fn is_drained(&self, scope: usize) -> bool {
        let members = self.members(scope);
        members.into_iter().filter(|frame| !self.is_daemon(*frame)).all(|frame| self.is_over(frame))
    }

    fn is_over(&self, frame: usize) -> bool {
        !self.is_live(frame) && self.opened_by(frame).is_empty()
    }

    fn stop_daemon(&mut self, scope: usize, daemon: usize) {
        let state = &self.scopes[scope];
        let grace = self.own_grace(daemon).or(state.settings.grace);
        let at = match (grace, &state.cancelled) {
            (Some(grace), _) => self.now + grace,
            (None, Some(_)) => state.stop_at,
            (None, None) => self.now,
        };
        let reason = state.reason_or("WorkDone");
        self.scopes[scope].turn = Some((daemon, at));
        let id = self.frames[daemon].task.expect("it is a child").code.id;
        self.told.daemons.insert(id, self.number(scope));
        self.seen("a daemon in its turn");
        for below in self.opened_by(daemon) {
            self.cancel(below, &reason, true, at);
        }
    }

    fn end_finalizer(&mut self, scope: usize) {
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

    fn summary(&self, scope: usize) -> Summary {
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
    fn deadline(&self) -> Option<At> {
        let may_expire = self.cancelled.is_none() && !self.drained && self.closed.is_none();
        self.settings.timeout.filter(|_| may_expire).map(|timeout| self.opened_at + timeout)
    }

    fn reason_or(&self, other: &str) -> String {
        self.cancelled.as_ref().map_or_else(|| other.to_owned(), |(reason, _)| reason.clone())
    }

    fn kind(&self) -> &'static str {
        match (&self.primary, &self.cancelled) {
            (Some(_), _) => "failed",
            (None, Some((reason, _))) if self.cut_short && reason == "Deadline" => "deadline exceeded",
            (None, Some(_)) if self.cut_short => "cancelled",
            (None, _) if self.further.is_empty() => "ok",
            (None, _) => "partial",
        }
    }

    /// What `.await` gives.
    fn result(&self) -> Seen {
        match (&self.primary, self.kind()) {
            (Some(failure), _) => failure.clone(),
            (None, "ok" | "partial") => Seen::Value,
            (None, _) => Seen::Cancelled(self.reason_or("")),
        }
    }
}

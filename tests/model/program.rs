//! The language: trees of scopes and tasks, and how random ones are made.
//!
//! Everything that a program does is preceded by a sleep, and the lengths of all sleeps, time-outs and graces have a
//! fine part that is theirs alone. An instant is a sum of the lengths that led to it, so two events at one instant
//! have one cause: the order of what is not connected is not asked for. Sums that meet all the same are ties, and the
//! model gives up on them: what follows from ties is for races and for the search through schedules.

use std::fmt;

use proptest::prelude::*;

/// A length of time. `coarse` is what is generated and shrunk; `ms` is made distinct from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    coarse: u8,
    pub(crate) ms: u64,
}

/// The root scope of a program, numbered.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) root: Scope,
}

#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) id: usize,
    pub(crate) supervise: bool,
    pub(crate) timeout: Option<Span>,
    pub(crate) grace: Option<Span>,
    pub(crate) finalizer_timeout: Span,
    pub(crate) body: Code,
}

/// What a frame runs: the body of a scope, or a child.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) id: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) last: Span,
    pub(crate) end: End,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) sleep: Span,
    pub(crate) act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Value,
    Error,
    Panic,
}

/// A handle is named by a number that is taken modulo the number of handles that the frame has; without any, nothing
/// is done.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// A child of the frame's scope; frames without access to their scope do nothing.
    Spawn(Task),
    Await(u8),
    Join(u8),
    /// `Child::cancel`, and whether its end is waited for.
    Stop(u8, bool),
    DropHandle(u8),
    Cancel,
    CancelChildren,
    /// A scope inside: with its outcome observed.
    Nest(Box<Scope>),
    /// A scope inside whose future is dropped after a while.
    NestDropped(Box<Scope>, Span),
    /// A scope inside whose error is, after another sleep, this frame's.
    NestTried(Box<Scope>, Span),
    Defer(Finalizer),
}

#[derive(Debug, Clone)]
pub(crate) struct Finalizer {
    pub(crate) id: usize,
    pub(crate) takes: Span,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `spawn`: without access to the scope.
    Plain,
    /// `spawn_with`: spawns siblings, and cancels.
    With,
    /// `spawn_borrowed` where the frame is a body, else as `Plain`.
    Borrowed,
    /// A daemon, without access to the scope.
    Daemon,
}

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) kind: Kind,
    pub(crate) isolated: bool,
    pub(crate) timeout: Option<Span>,
    pub(crate) grace: Option<Span>,
    pub(crate) code: Code,
}

impl Code {
    /// The greatest number in here.
    pub(crate) fn last_id(&self) -> usize {
        let inside = self.steps.iter().map(|step| match &step.act {
            Act::Spawn(task) => task.code.last_id(),
            Act::Nest(scope) | Act::NestDropped(scope, _) | Act::NestTried(scope, _) => scope.body.last_id(),
            Act::Defer(finalizer) => finalizer.id,
            _ => self.id,
        });
        inside.max().unwrap_or(self.id).max(self.id)
    }
}

/// One unit of the coarse part, in milliseconds. Long enough that sums of the fine parts nearly never meet, and short
/// enough that what looks every ten seconds (a scope that takes long) does not look too often.
const UNIT: u64 = 1 << 16;

fn span() -> impl Strategy<Value = Span> {
    (1_u8..=12).prop_map(|coarse| Span { coarse, ms: 0 })
}

/// Mostly not.
fn rarely<T: fmt::Debug + Clone + 'static>(of: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Option<T>> {
    prop_oneof![3 => Just(None), 1 => of.prop_map(Some)].boxed()
}

fn end() -> BoxedStrategy<End> {
    prop_oneof![6 => Just(End::Value), 2 => Just(End::Error), 1 => Just(End::Panic)].boxed()
}

fn finalizer() -> impl Strategy<Value = Finalizer> {
    (span(), end()).prop_map(|(takes, end)| Finalizer { id: 0, takes, end })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![3 => Just(Kind::Plain), 3 => Just(Kind::With), 2 => Just(Kind::Borrowed), 2 => Just(Kind::Daemon)]
}

fn task(depth: u32) -> BoxedStrategy<Task> {
    (kind(), prop::bool::weighted(0.2), rarely(span()), rarely(span()), code(depth))
        .prop_map(|(kind, isolated, timeout, grace, code)| Task { kind, isolated, timeout, grace, code })
        .boxed()
}

fn scope(depth: u32) -> BoxedStrategy<Scope> {
    (any::<bool>(), rarely(span()), rarely(span()), span(), code(depth))
        .prop_map(|(supervise, timeout, grace, finalizer_timeout, body)| {
            // Long enough for most.
            let finalizer_timeout = Span { coarse: finalizer_timeout.coarse + 4, ..finalizer_timeout };
            Scope { id: 0, supervise, timeout, grace, finalizer_timeout, body }
        })
        .boxed()
}

fn act(depth: u32) -> BoxedStrategy<Act> {
    let small = prop_oneof![
        4 => any::<u8>().prop_map(Act::Await),
        4 => any::<u8>().prop_map(Act::Join),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(which, waits)| Act::Stop(which, waits)),
        1 => any::<u8>().prop_map(Act::DropHandle),
        1 => Just(Act::Cancel),
        1 => Just(Act::CancelChildren),
        2 => finalizer().prop_map(Act::Defer),
    ];
    if depth == 0 {
        return small.boxed();
    }
    prop_oneof![
        8 => small,
        14 => task(depth - 1).prop_map(Act::Spawn),
        2 => scope(depth - 1).prop_map(|scope| Act::Nest(Box::new(scope))),
        2 => (scope(depth - 1), span()).prop_map(|(scope, after)| Act::NestDropped(Box::new(scope), after)),
        2 => (scope(depth - 1), span()).prop_map(|(scope, after)| Act::NestTried(Box::new(scope), after)),
    ]
    .boxed()
}

fn code(depth: u32) -> BoxedStrategy<Code> {
    let steps = prop::collection::vec((span(), act(depth)).prop_map(|(sleep, act)| Step { sleep, act }), 0..=3);
    (steps, span(), end()).prop_map(|(steps, last, end)| Code { id: 0, steps, last, end }).boxed()
}

/// A random program.
pub(crate) fn program() -> impl Strategy<Value = Program> {
    let root = (scope(3), prop::collection::vec((span(), act(3)).prop_map(|(sleep, act)| Step { sleep, act }), 1..=4));
    root.prop_map(|(mut root, more)| {
        root.body.steps.extend(more);
        let mut numbers = Numbers::default();
        numbers.scope(&mut root);
        Program { root }
    })
}

/// Numbers scopes and codes, and makes lengths distinct.
#[derive(Default)]
struct Numbers {
    scopes: usize,
    codes: usize,
    spans: u64,
}

impl Numbers {
    fn scope(&mut self, scope: &mut Scope) {
        scope.id = self.scopes;
        self.scopes += 1;
        self.spans(scope.timeout.iter_mut().chain(&mut scope.grace).chain([&mut scope.finalizer_timeout]));
        self.code(&mut scope.body);
    }

    fn code(&mut self, code: &mut Code) {
        code.id = self.codes;
        self.codes += 1;
        for Step { sleep, act } in &mut code.steps {
            self.spans([sleep]);
            match act {
                Act::Spawn(task) => {
                    self.spans(task.timeout.iter_mut().chain(&mut task.grace));
                    self.code(&mut task.code);
                }
                Act::Nest(scope) => self.scope(scope),
                Act::NestDropped(scope, span) | Act::NestTried(scope, span) => {
                    self.spans([span]);
                    self.scope(scope);
                }
                Act::Defer(finalizer) => {
                    finalizer.id = self.codes;
                    self.codes += 1;
                    self.spans([&mut finalizer.takes]);
                }
                Act::Await(_)
                | Act::Join(_)
                | Act::Stop(..)
                | Act::DropHandle(_)
                | Act::Cancel
                | Act::CancelChildren => {}
            }
        }
        self.spans([&mut code.last]);
    }

    fn spans<'a>(&mut self, spans: impl IntoIterator<Item = &'a mut Span>) {
        for span in spans {
            self.spans += 1;
            // Splitmix: neighbours have nothing in common, and neither have their sums.
            let mut fine = self.spans.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            fine = (fine ^ (fine >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            fine = (fine ^ (fine >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            span.ms = u64::from(span.coarse) * UNIT + (fine ^ (fine >> 31)) % UNIT;
        }
    }
}

/// A length as people can read it: in units.
pub(crate) fn readable(ms: u64) -> String {
    format!("{}.{:05}", ms / UNIT, ms % UNIT)
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        write_scope(f, &self.root, 0)
    }
}

fn write_scope(f: &mut fmt::Formatter<'_>, scope: &Scope, depth: usize) -> fmt::Result {
    let pad = "    ".repeat(depth);
    let policy = if scope.supervise { " supervise" } else { "" };
    write!(f, "{pad}scope {}{policy}", scope.id)?;
    for (what, span) in [("timeout", scope.timeout), ("grace", scope.grace)] {
        if let Some(span) = span {
            write!(f, " {what}={}", readable(span.ms))?;
        }
    }
    writeln!(f, " finalizer_timeout={}", readable(scope.finalizer_timeout.ms))?;
    write_code(f, &scope.body, depth + 1)
}

fn write_code(f: &mut fmt::Formatter<'_>, code: &Code, depth: usize) -> fmt::Result {
    let pad = "    ".repeat(depth);
    writeln!(f, "{pad}code {}:", code.id)?;
    for Step { sleep, act } in &code.steps {
        write!(f, "{pad}  after {}: ", readable(sleep.ms))?;
        match act {
            Act::Spawn(task) => {
                write!(f, "spawn {:?}{}", task.kind, if task.isolated { " isolated" } else { "" })?;
                for (what, span) in [("timeout", task.timeout), ("grace", task.grace)] {
                    if let Some(span) = span {
                        write!(f, " {what}={}", readable(span.ms))?;
                    }
                }
                writeln!(f)?;
                write_code(f, &task.code, depth + 1)?;
            }
            Act::Nest(scope) => {
                writeln!(f, "nest")?;
                write_scope(f, scope, depth + 1)?;
            }
            Act::NestDropped(scope, after) => {
                writeln!(f, "nest, dropped after {}", readable(after.ms))?;
                write_scope(f, scope, depth + 1)?;
            }
            Act::NestTried(scope, after) => {
                writeln!(f, "nest, and its error is mine after {}", readable(after.ms))?;
                write_scope(f, scope, depth + 1)?;
            }
            Act::Defer(Finalizer { id, takes, end }) => {
                writeln!(f, "defer {id}: after {} {end:?}", readable(takes.ms))?;
            }
            act => writeln!(f, "{act:?}")?,
        }
    }
    writeln!(f, "{pad}  after {}: {:?}", readable(code.last.ms), code.end)
}

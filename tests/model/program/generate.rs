//! How random programs are made.

mod restrict;

use std::fmt;

use proptest::prelude::*;

use super::*;

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
    (span(), end()).prop_map(|(takes, end)| Finalizer { id: 0, takes, end, of: None })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![3 => Just(Kind::Plain), 3 => Just(Kind::With), 2 => Just(Kind::Borrowed), 2 => Just(Kind::Daemon)]
}

fn task(depth: u32) -> BoxedStrategy<Task> {
    let shielded = prop_oneof![5 => Just(None), 1 => span().prop_map(Some)];
    (kind(), prop::bool::weighted(0.2), rarely(span()), rarely(span()), shielded, code(depth))
        .prop_map(|(kind, isolated, timeout, grace, shielded, code)| Task {
            kind,
            isolated,
            timeout,
            grace,
            shielded,
            code,
        })
        .boxed()
}

fn scope(depth: u32) -> BoxedStrategy<Scope> {
    let limit = prop_oneof![3 => Just(None), 1 => (0..2_usize).prop_map(Some)];
    (any::<bool>(), rarely(span()), rarely(span()), span(), limit, code(depth))
        .prop_map(|(supervise, timeout, grace, finalizer_timeout, limit, body)| {
            // Long enough for most.
            let finalizer_timeout = Span { coarse: finalizer_timeout.coarse + 4, ..finalizer_timeout };
            let scope = Scope { id: 0, supervise, timeout, grace, finalizer_timeout, limit, body };
            if limit.is_some() { restrict::limited(scope) } else { scope }
        })
        .boxed()
}

fn shield(depth: u32) -> BoxedStrategy<Shield> {
    (span(), code(depth), span()).prop_map(|(limit, code, after)| Shield { limit, code, after }).boxed()
}

/// Most of those that are started say so, somewhere on the way.
fn start(depth: u32) -> BoxedStrategy<Act> {
    let signal = prop_oneof![3 => (span(), any::<prop::sample::Index>()).prop_map(Some), 1 => Just(None)];
    (task(depth), rarely(span()), signal)
        .prop_map(|(mut task, patience, signal)| {
            if let Some((sleep, place)) = signal {
                let steps = &mut task.code.steps;
                steps.insert(place.index(steps.len() + 1), Step { sleep, act: Act::Signal });
            }
            Act::Start(task, patience)
        })
        .boxed()
}

fn bare(kind: Kind, isolated: bool, code: Code) -> Task {
    Task { kind, isolated, timeout: None, grace: None, shielded: None, code }
}

fn resource() -> impl Strategy<Value = Resource> {
    (span(), end(), finalizer(), prop::bool::weighted(0.3)).prop_map(|(last, end, release, leaks)| {
        let code = Code { id: 0, steps: Vec::new(), last, end };
        Resource { acquire: bare(Kind::Plain, true, code), release, leaks }
    })
}

fn group(depth: u32) -> BoxedStrategy<Group> {
    let how = prop_oneof![
        2 => Just(How::All),
        1 => Just(How::Map),
        1 => Just(How::ForEach),
        2 => Just(How::Settle),
        2 => Just(How::FirstOk),
        2 => (0..4_usize).prop_map(How::Quorum),
    ];
    let members = prop::collection::vec(code(depth), 0..=4);
    (how, any::<bool>(), rarely(1..3_usize), rarely(span()), rarely(span()), members)
        .prop_map(|(how, parallel, width, timeout, grace, members)| {
            let kind = if parallel { Kind::Plain } else { Kind::Borrowed };
            let member = |code| bare(kind, true, code);
            Group { id: 0, how, parallel, width, timeout, grace, members: members.into_iter().map(member).collect() }
        })
        .boxed()
}

fn act(depth: u32) -> BoxedStrategy<Act> {
    let small = prop_oneof![
        4 => any::<u8>().prop_map(Act::Await),
        4 => any::<u8>().prop_map(Act::Join),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(which, waits)| Act::Stop(which, waits)),
        1 => any::<u8>().prop_map(Act::DropHandle),
        1 => any::<u8>().prop_map(Act::ForgetHandle),
        1 => Just(Act::Cancel),
        1 => Just(Act::CancelChildren),
        2 => any::<u8>().prop_map(Act::JoinAmbient),
        1 => any::<u8>().prop_map(Act::Abort),
        2 => finalizer().prop_map(Act::Defer),
    ];
    if depth == 0 {
        return small.boxed();
    }
    prop_oneof![
        8 => small,
        14 => task(depth - 1).prop_map(Act::Spawn),
        3 => start(depth - 1),
        3 => code(depth - 1).prop_map(|code| Act::Ambient(bare(Kind::Ambient, false, code))),
        2 => resource().prop_map(|resource| Act::Resource(Box::new(resource))),
        3 => group(depth - 1).prop_map(|group| Act::Group(Box::new(group))),
        2 => task(depth - 1).prop_map(Act::Reserve),
        2 => scope(depth - 1).prop_map(|scope| Act::Nest(Box::new(scope))),
        2 => (scope(depth - 1), span()).prop_map(|(scope, after)| Act::NestDropped(Box::new(scope), after)),
        2 => (scope(depth - 1), span()).prop_map(|(scope, after)| Act::NestTried(Box::new(scope), after)),
        2 => shield(depth - 1).prop_map(|shield| Act::Shield(Box::new(shield))),
        1 => (scope(depth - 1), span()).prop_map(|(scope, after)| Act::NestForgotten(Box::new(restrict::forgotten(scope)), after)),
    ]
    .boxed()
}

fn code(depth: u32) -> BoxedStrategy<Code> {
    let steps = prop::collection::vec((span(), act(depth)).prop_map(|(sleep, act)| Step { sleep, act }), 0..=3);
    (steps, rarely((span(), any::<bool>())), span(), end())
        .prop_map(|(mut steps, follow, last, end)| {
            if let Some((sleep, first)) = follow {
                steps.extend(use_of_last(&steps, first).map(|act| Step { sleep, act }));
            }
            Code { id: 0, steps, last, end }
        })
        .boxed()
}

/// Something to do with what was spawned last: few handles would be used otherwise.
fn use_of_last(steps: &[Step], first: bool) -> Option<Act> {
    steps.iter().rev().find_map(|step| match (&step.act, first) {
        (Act::Ambient(_), true) => Some(Act::JoinAmbient(u8::MAX)),
        (Act::Ambient(_), false) => Some(Act::Abort(u8::MAX)),
        (Act::Spawn(_), true) => Some(Act::Await(u8::MAX)),
        (Act::Spawn(_), false) => Some(Act::Join(u8::MAX)),
        _ => None,
    })
}

/// A random program.
pub(crate) fn program() -> impl Strategy<Value = Program> {
    let more = prop::collection::vec((span(), act(3)).prop_map(|(sleep, act)| Step { sleep, act }), 1..=4);
    (scope(3), more, [1..=2_u8, 1..=2_u8]).prop_map(|(mut root, more, limits)| {
        root.body.steps.extend(more);
        if root.limit.is_some() {
            root = restrict::limited(root);
        }
        let mut numbers = Numbers::default();
        numbers.scope(&mut root);
        Program { root, limits }
    })
}

/// Numbers scopes and codes, and makes lengths distinct.
#[derive(Default)]
struct Numbers {
    scopes: usize,
    codes: usize,
    spans: u64,
    /// That of the scope around.
    finalizer_timeout: Option<Span>,
}

impl Numbers {
    fn scope(&mut self, scope: &mut Scope) {
        scope.id = self.scopes;
        self.scopes += 1;
        self.spans(scope.timeout.iter_mut().chain(&mut scope.grace).chain([&mut scope.finalizer_timeout]));
        let outer = self.finalizer_timeout.replace(scope.finalizer_timeout);
        self.code(&mut scope.body);
        self.finalizer_timeout = outer;
    }

    fn finalizer(&mut self, finalizer: &mut Finalizer) {
        finalizer.id = self.codes;
        self.codes += 1;
        self.spans([&mut finalizer.takes]);
    }

    fn task(&mut self, task: &mut Task) {
        self.spans(task.timeout.iter_mut().chain(&mut task.grace).chain(&mut task.shielded));
        self.code(&mut task.code);
    }

    fn code(&mut self, code: &mut Code) {
        code.id = self.codes;
        self.codes += 1;
        for Step { sleep, act } in &mut code.steps {
            self.spans([sleep]);
            match act {
                Act::Spawn(task) | Act::Reserve(task) | Act::Ambient(task) => self.task(task),
                Act::Start(task, patience) => {
                    self.spans(patience);
                    self.task(task);
                }
                Act::Nest(scope) => self.scope(scope),
                Act::Group(group) => {
                    group.id = self.codes;
                    self.codes += 1;
                    self.spans(group.timeout.iter_mut().chain(&mut group.grace));
                    group.members.iter_mut().for_each(|task| self.task(task));
                }
                Act::Shield(shield) => {
                    self.spans([&mut shield.limit, &mut shield.after]);
                    self.code(&mut shield.code);
                }
                Act::NestDropped(scope, span) | Act::NestTried(scope, span) | Act::NestForgotten(scope, span) => {
                    self.spans([span]);
                    self.scope(scope);
                }
                Act::Defer(finalizer) => self.finalizer(finalizer),
                Act::Resource(resource) => {
                    resource.release.of = Some(self.codes);
                    self.task(&mut resource.acquire);
                    resource.acquire.shielded = self.finalizer_timeout;
                    self.finalizer(&mut resource.release);
                }
                Act::Await(_)
                | Act::Join(_)
                | Act::Stop(..)
                | Act::DropHandle(_)
                | Act::ForgetHandle(_)
                | Act::Cancel
                | Act::CancelChildren
                | Act::Signal
                | Act::JoinAmbient(_)
                | Act::Abort(_) => {}
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

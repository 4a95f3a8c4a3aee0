//! The interpreter: a program on the real thing, in virtual time.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use sc_tokio::{Cancelled, Child, Failure, Nursery, Outcome, Scope, ScopeEnd, Supervise, TaskBuilder, nursery};
use tokio::time::{Instant, sleep};

use crate::log::{At, Entry, How, Log, Raised, Seen, Summary};
use crate::program::{self, Act, Code, End, Finalizer, Kind, Program, Span, Step, Task};

/// The error of every scope.
#[derive(Debug)]
pub(crate) enum Fault {
    By(usize),
    Cancelled(Cancelled),
}

impl From<Cancelled> for Fault {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled)
    }
}

impl Fault {
    fn raised(&self) -> Raised {
        match self {
            Self::By(id) => Raised::By(*id),
            Self::Cancelled(cancelled) => Raised::Cancelled(format!("{:?}", cancelled.reason())),
        }
    }
}

/// What a run leaves behind.
#[derive(Default)]
pub(crate) struct Ran {
    pub(crate) log: Log,
    /// Promises broken on the way, whatever the model says.
    pub(crate) broken: Vec<String>,
    /// How often each error or panic was raised, and how often somebody was given it (P4).
    pub(crate) raised: BTreeMap<usize, usize>,
    pub(crate) delivered: BTreeMap<usize, usize>,
    /// Values that live: captures and outputs of a frame, by its number.
    pub(crate) alive: BTreeMap<usize, usize>,
    /// What lived when a scope had resolved that it was inside of: the scope, and whose captures or output.
    pub(crate) outlived: Vec<(usize, usize)>,
}

struct Run {
    start: Instant,
    ran: Mutex<Ran>,
}

/// The run that the hook, one for the process, is to tell; tests of this binary run one after the other.
static HOOKED: Mutex<Option<Arc<Run>>> = Mutex::new(None);

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a program to its end.
pub(crate) fn run(program: &Program) -> Ran {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let run = runtime.block_on(async {
        let run = Arc::new(Run { start: Instant::now(), ran: Mutex::default() });
        *unpoisoned(&HOOKED) = Some(Arc::clone(&run));
        nest(&run, None, program.root.clone()).await;
        run
    });
    drop(runtime);
    *unpoisoned(&HOOKED) = None;
    let mut ran = std::mem::take(&mut *unpoisoned(&run.ran));
    ran.alive.retain(|_, count| *count > 0);
    if ran.raised != ran.delivered {
        ran.broken.push(format!("raised {:?}, but delivered {:?} (P4)", ran.raised, ran.delivered));
    }
    ran
}

/// Has failures that nobody else takes counted as delivered.
pub(crate) fn listen_to_the_hook() {
    sc_tokio::set_failure_hook(|failure| {
        let Some(run) = unpoisoned(&HOOKED).clone() else { return };
        let message = failure.message.as_str();
        let number = message.strip_prefix("By(").and_then(|text| text.strip_suffix(')'));
        if let Some(id) = number.or_else(|| message.strip_prefix("panicked: panic ")) {
            run.delivered(id.parse().expect("the number of a frame"));
        }
    });
}

impl Run {
    fn now(&self) -> At {
        u64::try_from(self.start.elapsed().as_millis()).expect("milliseconds")
    }

    fn add(&self, entry: Entry) {
        let at = self.now();
        unpoisoned(&self.ran).log.0.push((at, entry));
    }

    fn raised(&self, id: usize) {
        *unpoisoned(&self.ran).raised.entry(id).or_default() += 1;
    }

    fn delivered(&self, id: usize) {
        *unpoisoned(&self.ran).delivered.entry(id).or_default() += 1;
    }

    fn deliver(&self, seen: Seen) -> Seen {
        if let Seen::Error(Raised::By(id)) | Seen::Panic(id) = seen {
            self.delivered(id);
        }
        seen
    }

    fn token(self: &Arc<Self>, id: usize) -> Token {
        *unpoisoned(&self.ran).alive.entry(id).or_default() += 1;
        Token(Arc::clone(self), id)
    }

    /// A scope has resolved: nothing of it is alive (P1).
    fn check_joined(&self, scope: &program::Scope) {
        let (first, last) = (scope.body.id, scope.body.last_id());
        let mut ran = unpoisoned(&self.ran);
        let left: Vec<_> = ran.alive.range(first..=last).filter(|(_, count)| **count > 0).map(|(id, _)| *id).collect();
        ran.outlived.extend(left.into_iter().map(|id| (scope.id, id)));
    }
}

/// Something that a frame has captured, or its output.
pub(crate) struct Token(Arc<Run>, usize);

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(count) = unpoisoned(&self.0.ran).alive.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

/// Notes the end of a frame or finalizer when it is dropped.
struct Guard<F: FnMut(How)> {
    how: How,
    told: F,
}

impl<F: FnMut(How)> Drop for Guard<F> {
    fn drop(&mut self) {
        (self.told)(self.how);
    }
}

/// What of its scope a frame has access to.
#[derive(Clone, Copy)]
enum Here<'n, 'env> {
    Body(&'n Nursery<'env, Fault>),
    Scope(&'n Scope<Fault>),
    Nothing,
}

impl<'n> Here<'n, '_> {
    fn scope(self) -> Option<&'n Scope<Fault>> {
        match self {
            Self::Body(nursery) => Some(nursery),
            Self::Scope(scope) => Some(scope),
            Self::Nothing => None,
        }
    }
}

type Boxed<'n, T> = Pin<Box<dyn Future<Output = T> + Send + 'n>>;
type Handle<'n> = (usize, Child<'n, Token, Fault>);

/// Runs a frame. The token counts as what it has captured.
fn frame<'n, 'env: 'n>(
    here: Here<'n, 'env>,
    run: Arc<Run>,
    code: Code,
    token: Token,
) -> Boxed<'n, Result<Token, Fault>> {
    Box::pin(async move {
        let _captured = token;
        run.add(Entry::Began(code.id));
        let (id, log) = (code.id, Arc::clone(&run));
        let mut guard = Guard { how: How::Dropped, told: move |how| log.add(Entry::Ended(id, how)) };
        let result = AssertUnwindSafe(steps(here, &run, &code)).catch_unwind().await;
        guard.how = match &result {
            Ok(Ok(_)) => How::Value,
            Ok(Err(fault)) => {
                if let Fault::By(id) = fault {
                    run.raised(*id);
                }
                How::Error
            }
            Err(payload) => {
                if let Some(id) = number(&**payload) {
                    run.raised(id);
                    How::Panic
                } else {
                    How::Dropped
                }
            }
        };
        result.unwrap_or_else(|payload| resume_unwind(payload))
    })
}

/// Whose panic it is; none of the program's have another payload.
fn number(payload: &(dyn std::any::Any + Send)) -> Option<usize> {
    payload.downcast_ref::<String>().and_then(|text| text.strip_prefix("panic ")?.parse().ok())
}

async fn pause(span: Span) {
    sleep(Duration::from_millis(span.ms)).await;
}

fn finish(end: End, id: usize) -> Result<(), Fault> {
    match end {
        End::Value => Ok(()),
        End::Error => Err(Fault::By(id)),
        // Without the panic hook, which would write a line for each.
        End::Panic => resume_unwind(Box::new(format!("panic {id}"))),
    }
}

async fn steps(here: Here<'_, '_>, run: &Arc<Run>, code: &Code) -> Result<Token, Fault> {
    let mut handles: Vec<Handle<'_>> = Vec::new();
    for Step { sleep, act } in &code.steps {
        pause(*sleep).await;
        match act {
            Act::Spawn(task) => handles.extend(spawn(here, run, task)),
            Act::Await(_) | Act::Join(_) | Act::Stop(..) | Act::DropHandle(_) | Act::ForgetHandle(_) => {
                with_handle(&mut handles, run, code.id, act).await;
            }
            Act::Cancel => {
                if let Some(scope) = here.scope() {
                    scope.cancel("the program says so");
                }
            }
            Act::CancelChildren => {
                if let Some(scope) = here.scope() {
                    scope.cancel_children("the program says so");
                }
            }
            Act::Nest(scope) => nest(run, Some(code.id), (**scope).clone()).await,
            Act::NestDropped(scope, after) => {
                tokio::select! {
                    biased;
                    () = nest(run, Some(code.id), (**scope).clone()) => {}
                    () = pause(*after) => {}
                }
            }
            Act::NestForgotten(scope, after) => {
                let mut nested = nest(run, Some(code.id), (**scope).clone());
                tokio::select! {
                    biased;
                    () = &mut nested => {}
                    () = pause(*after) => std::mem::forget(nested),
                }
            }
            Act::NestTried(scope, after) => nest_tried(run, code.id, (**scope).clone(), *after).await?,
            Act::Shield(shield) => shielded(here, run, code.id, (**shield).clone()).await?,
            Act::Defer(finalizer) => {
                if let Some(scope) = here.scope() {
                    defer(scope, run, finalizer.clone());
                }
            }
        }
    }
    pause(code.last).await;
    finish(code.end, code.id)?;
    Ok(run.token(code.id))
}

async fn with_handle(handles: &mut Vec<Handle<'_>>, run: &Arc<Run>, frame: usize, act: &Act) {
    let (Act::Await(which)
    | Act::Join(which)
    | Act::Stop(which, _)
    | Act::DropHandle(which)
    | Act::ForgetHandle(which)) = act
    else {
        return;
    };
    if handles.is_empty() {
        return;
    }
    let (child, handle) = handles.remove(usize::from(*which) % handles.len());
    let what = match act {
        Act::Await(_) => {
            drop(handle.await);
            Seen::Value
        }
        Act::Join(_) => {
            let result = handle.join().await;
            run.deliver(result.map_or_else(|failure| seen(&failure), |_| Seen::Value))
        }
        Act::Stop(_, waits) => {
            let stopping = handle.cancel();
            if *waits {
                stopping.await;
            }
            Seen::Stopped
        }
        Act::ForgetHandle(_) => return std::mem::forget(handle),
        _ => return,
    };
    run.add(Entry::Saw { frame, child, what });
}

fn seen(failure: &Failure<Fault>) -> Seen {
    match failure {
        Failure::Error(fault) => Seen::Error(fault.raised()),
        Failure::Panic(panic) => {
            let text = panic.message().expect("panics of the program are text");
            Seen::Panic(text.trim_start_matches("panic ").parse().unwrap_or_else(|_| panic!("a foreign panic: {text}")))
        }
        Failure::Cancelled(cancelled) => Seen::Cancelled(format!("{:?}", cancelled.reason())),
        _ => Seen::Owned,
    }
}

fn attributes<'n, N>(mut builder: TaskBuilder<'n, Fault, N>, task: &Task) -> TaskBuilder<'n, Fault, N> {
    if task.isolated {
        builder = builder.isolated();
    }
    if let Some(timeout) = task.timeout {
        builder = builder.timeout(Duration::from_millis(timeout.ms));
    }
    if let Some(grace) = task.grace {
        builder = builder.grace(Duration::from_millis(grace.ms));
    }
    if let Some(limit) = task.shielded {
        builder = builder.shielded(Duration::from_millis(limit.ms));
    }
    builder
}

fn spawn<'n>(here: Here<'n, '_>, run: &Arc<Run>, task: &Task) -> Option<Handle<'n>> {
    let scope = here.scope()?;
    let (code, token, run) = (task.code.clone(), run.token(task.code.id), Arc::clone(run));
    let id = code.id;
    let child = match (task.kind, here) {
        (Kind::Borrowed, Here::Body(nursery)) => {
            attributes(nursery.task(), task).spawn_borrowed(frame(Here::Nothing, run, code, token))
        }
        (Kind::Plain | Kind::Borrowed, _) => {
            attributes(scope.task(), task).spawn(frame(Here::Nothing, run, code, token))
        }
        (Kind::Daemon, _) => attributes(scope.task().daemon(), task).spawn(frame(Here::Nothing, run, code, token)),
        (Kind::With, _) => attributes(scope.task(), task)
            .spawn_with(async move |n: &Scope<Fault>| frame(Here::Scope(n), run, code, token).await),
    };
    Some((id, child))
}

/// The builder of a scope; a macro, since its type has no name.
macro_rules! opened {
    ($run:ident, $scope:ident) => {{
        let (code, token, body_run) = ($scope.body.clone(), $run.token($scope.body.id), Arc::clone($run));
        let mut builder = nursery!(async move |n: &Nursery<'_, Fault>| {
            frame(Here::Body(n), body_run, code, token).await.map(drop)
        })
        // Of the length of these programs it would be said often.
        .warn_after(Duration::MAX)
        .named($scope.id.to_string())
        .finalizer_timeout(Duration::from_millis($scope.finalizer_timeout.ms));
        if let Some(timeout) = $scope.timeout {
            builder = builder.timeout(Duration::from_millis(timeout.ms));
        }
        if let Some(grace) = $scope.grace {
            builder = builder.grace(Duration::from_millis(grace.ms));
        }
        if $scope.supervise { builder.policy(Supervise) } else { builder }
    }};
}

fn nest(run: &Arc<Run>, frame: Option<usize>, scope: program::Scope) -> Boxed<'_, ()> {
    Box::pin(async move {
        let outcome = opened!(run, scope).outcome().await;
        run.check_joined(&scope);
        run.add(Entry::Resolved { frame, scope: scope.id, outcome: summary(run, &outcome) });
    })
}

fn nest_tried(run: &Arc<Run>, frame: usize, scope: program::Scope, after: Span) -> Boxed<'_, Result<(), Fault>> {
    Box::pin(async move {
        let result = AssertUnwindSafe(opened!(run, scope).into_future()).catch_unwind().await;
        run.check_joined(&scope);
        let what = match &result {
            Ok(Ok(())) => Seen::Value,
            Ok(Err(fault)) => Seen::Error(fault.raised()),
            Err(payload) => Seen::Panic(number(&**payload).expect("a panic of the program")),
        };
        run.add(Entry::Tried { frame, scope: scope.id, what: run.deliver(what) });
        pause(after).await;
        result.unwrap_or_else(|payload| resume_unwind(payload))
    })
}

fn shielded<'n>(
    here: Here<'n, '_>,
    run: &'n Arc<Run>,
    outer: usize,
    shield: program::Shield,
) -> Boxed<'n, Result<(), Fault>> {
    // Without the nursery: it is the surrounding frame that borrows.
    let here = here.scope().map_or(Here::Nothing, Here::Scope);
    Box::pin(async move {
        let program::Shield { limit, code, after } = shield;
        let (id, token) = (code.id, run.token(code.id));
        let inside = sc_tokio::shield(Duration::from_millis(limit.ms), frame(here, Arc::clone(run), code, token));
        let result = AssertUnwindSafe(inside).catch_unwind().await;
        let result = result.map(|ended| ended.map_err(Fault::Cancelled).and_then(|result| result.map(drop)));
        let what = match &result {
            Ok(Ok(())) => Seen::Value,
            Ok(Err(fault)) => Seen::Error(fault.raised()),
            Err(payload) => Seen::Panic(number(&**payload).expect("a panic of the program")),
        };
        run.add(Entry::Unshielded { frame: outer, code: id, what: run.deliver(what) });
        pause(after).await;
        result.unwrap_or_else(|payload| resume_unwind(payload))
    })
}

#[allow(clippy::needless_pass_by_value, reason = "it is moved into the finalizer")]
fn defer(scope: &Scope<Fault>, run: &Arc<Run>, finalizer: Finalizer) {
    let run = Arc::clone(run);
    let scope_id: usize = scope.name().and_then(|name| name.parse().ok()).expect("scopes are named by their numbers");
    let token = run.token(finalizer.id);
    scope.defer(async move |end: ScopeEnd| {
        let _captured = token;
        let Finalizer { id, takes, end: ends } = finalizer;
        run.add(Entry::Finalizing { scope: scope_id, id, told: end.kind().to_string() });
        let log = Arc::clone(&run);
        let told = move |how| log.add(Entry::Finalized { scope: scope_id, id, how });
        let mut guard = Guard { how: How::Dropped, told };
        pause(takes).await;
        guard.how = match ends {
            End::Value => How::Value,
            End::Error => How::Error,
            End::Panic => How::Panic,
        };
        if ends != End::Value {
            run.raised(id);
        }
        finish(ends, id)
    });
}

fn summary(run: &Run, outcome: &Outcome<(), Fault>) -> Summary {
    let mut failures: Vec<Seen> = outcome.failures().iter().map(|failure| run.deliver(seen(failure))).collect();
    let is_failed = outcome.kind() == sc_tokio::OutcomeKind::Failed;
    let primary = is_failed.then(|| failures.remove(0));
    failures.sort();
    let report = outcome.report();
    let ms = |time: Duration| u64::try_from(time.as_millis()).expect("milliseconds");
    Summary {
        kind: outcome.kind().to_string(),
        has_value: outcome.value().is_some(),
        cancelled: outcome.cancelled().map(|notice| (format!("{:?}", notice.reason()), notice.is_inherited())),
        primary,
        further: failures,
        counts: [report.spawned, report.succeeded, report.failed, report.panicked, report.cancelled, report.refused],
        duration: ms(report.duration),
        drained_in: report.drained_in.map(ms),
    }
}

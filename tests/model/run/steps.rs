//! What a frame does.

use super::*;

/// What of its scope a frame has access to.
#[derive(Clone, Copy)]
pub(super) enum Here<'n, 'env> {
    Body(&'n Nursery<'env, Fault>),
    Scope(&'n Scope<Fault>),
    Nothing,
}

impl<'n> Here<'n, '_> {
    pub(super) fn scope(self) -> Option<&'n Scope<Fault>> {
        match self {
            Self::Body(nursery) => Some(nursery),
            Self::Scope(scope) => Some(scope),
            Self::Nothing => None,
        }
    }
}

pub(super) type Boxed<'n, T> = Pin<Box<dyn Future<Output = T> + Send + 'n>>;
pub(super) type Handle<'n> = (usize, Child<'n, Token, Fault>);

/// Runs a frame. The token counts as what it has captured.
pub(super) fn frame<'n, 'env: 'n>(
    here: Here<'n, 'env>,
    run: Arc<Run>,
    code: Code,
    token: Token,
    ready: Option<Ready<()>>,
) -> Boxed<'n, Result<Token, Fault>> {
    Box::pin(async move {
        let _captured = token;
        run.add(Entry::Began(code.id));
        let (id, log) = (code.id, Arc::clone(&run));
        let mut guard = Guard { how: How::Dropped, told: move |how| log.add(Entry::Ended(id, how)) };
        let result = AssertUnwindSafe(steps(here, &run, &code, ready)).catch_unwind().await;
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
pub(super) fn number(payload: &(dyn std::any::Any + Send)) -> Option<usize> {
    payload.downcast_ref::<String>().and_then(|text| text.strip_prefix("panic ")?.parse().ok())
}

pub(super) async fn pause(span: Span) {
    sleep(Duration::from_millis(span.ms)).await;
}

pub(super) fn finish(end: End, id: usize) -> Result<(), Fault> {
    match end {
        End::Value => Ok(()),
        End::Error => Err(Fault::By(id)),
        // Without the panic hook, which would write a line for each.
        End::Panic => resume_unwind(Box::new(format!("panic {id}"))),
    }
}

pub(super) async fn steps(
    here: Here<'_, '_>,
    run: &Arc<Run>,
    code: &Code,
    mut ready: Option<Ready<()>>,
) -> Result<Token, Fault> {
    let mut handles: Vec<Handle<'_>> = Vec::new();
    let mut leases = Vec::new();
    let mut tasks = Vec::new();
    for Step { sleep, act } in &code.steps {
        pause(*sleep).await;
        match act {
            Act::Spawn(task) => handles.extend(spawn(here, run, task)),
            Act::Await(_) | Act::Join(_) | Act::Stop(..) | Act::DropHandle(_) | Act::ForgetHandle(_) => {
                with_handle(&mut handles, run, code.id, act).await;
            }
            Act::Start(task, patience) => handles.extend(start(here, run, code.id, task, *patience).await),
            Act::Reserve(task) => handles.extend(reserve(here, run, code.id, task).await),
            Act::Signal => {
                if let Some(ready) = ready.take() {
                    ready.signal(());
                }
            }
            Act::Cancel | Act::CancelChildren | Act::Defer(_) => {
                if let Some(scope) = here.scope() {
                    to_scope(scope, run, act);
                }
            }
            Act::Nest(scope) => nest(run, Some(code.id), (**scope).clone()).await,
            Act::NestDropped(scope, after) => nest_for(run, code.id, scope, *after, drop).await,
            Act::NestForgotten(scope, after) => nest_for(run, code.id, scope, *after, std::mem::forget).await,
            Act::NestTried(scope, after) => nest_tried(run, code.id, (**scope).clone(), *after).await?,
            Act::Resource(resource) => {
                if let Some(scope) = here.scope() {
                    leases.extend(acquire(scope, run, code.id, resource).await);
                }
            }
            Act::Ambient(task) => tasks.push(ambient(run, task)),
            Act::JoinAmbient(_) | Act::Abort(_) => with_task(&mut tasks, run, code.id, act).await,
            Act::Group(group) => group_of(run, code.id, group).await,
            Act::Shield(shield) => shielded(here, run, code.id, (**shield).clone()).await?,
        }
    }
    pause(code.last).await;
    finish(code.end, code.id)?;
    Ok(run.token(code.id))
}

fn to_scope(scope: &Scope<Fault>, run: &Arc<Run>, act: &Act) {
    match act {
        Act::Cancel => scope.cancel("the program says so"),
        Act::CancelChildren => scope.cancel_children("the program says so"),
        Act::Defer(finalizer) => defer(scope, run, finalizer.clone()),
        _ => unreachable!("what else is asked of a scope gives something"),
    }
}

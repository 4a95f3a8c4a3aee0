//! Children, and what is done with their handles.

use super::*;

pub(super) async fn with_handle(handles: &mut Vec<Handle<'_>>, run: &Arc<Run>, frame: usize, act: &Act) {
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

pub(super) fn seen(failure: &Failure<Fault>) -> Seen {
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

pub(super) fn attributes<'n, N>(mut builder: TaskBuilder<'n, Fault, N>, task: &Task) -> TaskBuilder<'n, Fault, N> {
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

pub(super) fn spawn<'n>(here: Here<'n, '_>, run: &Arc<Run>, task: &Task) -> Option<Handle<'n>> {
    if let (Kind::Borrowed, Here::Body(nursery)) = (task.kind, here) {
        let (code, token, run) = (task.code.clone(), run.token(task.code.id), Arc::clone(run));
        let id = code.id;
        let code = frame(Here::Nothing, run, code, token, None);
        return Some((id, attributes(nursery.task(), task).spawn_borrowed(code)));
    }
    Some(spawn_from(here.scope()?.task(), run, task))
}

/// Starts a child, and waits for it to be ready, or to have ended without, or for as long as its starter's patience lasts.
pub(super) async fn start<'n>(
    here: Here<'n, '_>,
    run: &Arc<Run>,
    frame: usize,
    task: &Task,
    patience: Option<Span>,
) -> Option<Handle<'n>> {
    let starting = starting(here, run, task)?;
    let started = match patience {
        None => starting.await,
        Some(patience) => tokio::select! {
            biased;
            started = starting => started,
            () = pause(patience) => return None,
        },
    };
    let child = task.code.id;
    let (what, handle) = match started {
        Ok(((), handle)) => (Seen::Ready, Some((child, handle))),
        Err(StartError::Error(fault)) => (Seen::Error(fault.raised()), None),
        Err(StartError::Panic(panic)) => (seen(&Failure::Panic(panic)), None),
        Err(StartError::Cancelled(cancelled)) => (seen(&Failure::Cancelled(cancelled)), None),
        Err(_) => (Seen::Unsignalled, None),
    };
    run.add(Entry::Saw { frame, child, what: run.deliver(what) });
    handle
}

fn starting<'n>(here: Here<'n, '_>, run: &Arc<Run>, task: &Task) -> Option<Start<'n, (), Token, Fault>> {
    let scope = here.scope()?;
    let (code, token, run) = (task.code.clone(), run.token(task.code.id), Arc::clone(run));
    let plain = |ready, run, code, token| frame(Here::Nothing, run, code, token, Some(ready));
    Some(match task.kind {
        Kind::Plain | Kind::Borrowed | Kind::Ambient => {
            attributes(scope.task(), task).start(move |ready| plain(ready, run, code, token))
        }
        Kind::Daemon => attributes(scope.task().daemon(), task).start(move |ready| plain(ready, run, code, token)),
        Kind::With => {
            let code = async move |n: &Scope<Fault>, ready| frame(Here::Scope(n), run, code, token, Some(ready)).await;
            attributes(scope.task(), task).start_with(code)
        }
    })
}

/// Waits for a seat, and spawns a child on it.
pub(super) async fn reserve<'n>(here: Here<'n, '_>, run: &Arc<Run>, frame: usize, task: &Task) -> Option<Handle<'n>> {
    let Here::Body(nursery) = here else { return None };
    match nursery.reserve().await {
        Ok(permit) => Some(spawn_from(permit.task(), run, task)),
        Err(cancelled) => {
            run.add(Entry::Saw { frame, child: task.code.id, what: seen(&Failure::Cancelled(cancelled)) });
            None
        }
    }
}

fn spawn_from<'n>(builder: TaskBuilder<'n, Fault>, run: &Arc<Run>, task: &Task) -> Handle<'n> {
    let (code, token, run) = (task.code.clone(), run.token(task.code.id), Arc::clone(run));
    let id = code.id;
    let builder = if task.kind == Kind::Daemon { builder.daemon() } else { builder };
    let builder = attributes(builder, task);
    let child = match task.kind {
        Kind::With => {
            builder.spawn_with(async move |n: &Scope<Fault>| frame(Here::Scope(n), run, code, token, None).await)
        }
        _ => builder.spawn(frame(Here::Nothing, run, code, token, None)),
    };
    (id, child)
}

type AmbientTask = (usize, JoinHandle<Result<Token, Fault>>);

pub(super) fn ambient(run: &Arc<Run>, task: &Task) -> AmbientTask {
    let (code, token, run) = (task.code.clone(), run.token(task.code.id), Arc::clone(run));
    let id = code.id;
    let task = sc_tokio::spawn(async move {
        let result = frame(Here::Nothing, Arc::clone(&run), code, token, None).await;
        if let Err(Fault::By(id)) = &result {
            // It belongs to whoever has the handle, and to nobody else.
            run.not_raised(*id);
        }
        result
    });
    (id, task)
}

pub(super) async fn with_task(tasks: &mut Vec<AmbientTask>, run: &Run, frame: usize, act: &Act) {
    let (Act::JoinAmbient(which) | Act::Abort(which)) = act else { return };
    if tasks.is_empty() {
        return;
    }
    let (child, task) = tasks.remove(usize::from(*which) % tasks.len());
    if matches!(act, Act::Abort(_)) {
        return task.abort();
    }
    let what = match task.await {
        Ok(Ok(_)) => Seen::Value,
        Ok(Err(fault)) => Seen::Error(fault.raised()),
        Err(error) if error.is_panic() => Seen::Panic(number(&*error.into_panic()).expect("a panic of the program")),
        Err(_) => Seen::Aborted,
    };
    run.add(Entry::Saw { frame, child, what });
}

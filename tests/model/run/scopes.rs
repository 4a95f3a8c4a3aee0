//! Scopes inside a frame, shields, and their ends.

use super::*;

/// The builder of a scope; a macro, since its type has no name.
macro_rules! opened {
    ($run:ident, $scope:ident) => {{
        let (code, token, body_run) = ($scope.body.clone(), $run.token($scope.body.id), Arc::clone($run));
        let mut builder = nursery!(async move |n: &Nursery<'_, Fault>| {
            frame(Here::Body(n), body_run, code, token, None).await.map(drop)
        })
        // Of the length of these programs it would be said often.
        .warn_after(Duration::MAX)
        .named($scope.id.to_string())
        .finalizer_timeout(Duration::from_millis($scope.finalizer_timeout.ms));
        if let Some(timeout) = $scope.timeout {
            builder = builder.timeout(Duration::from_millis(timeout.ms));
        }
        if let Some(limit) = $scope.limit {
            builder = builder.limit(&$run.limits[limit]);
        }
        if let Some(grace) = $scope.grace {
            builder = builder.grace(Duration::from_millis(grace.ms));
        }
        if $scope.supervise { builder.policy(Supervise) } else { builder }
    }};
}

pub(super) fn nest(run: &Arc<Run>, frame: Option<usize>, scope: program::Scope) -> Boxed<'_, ()> {
    Box::pin(async move {
        let outcome = opened!(run, scope).outcome().await;
        run.check_joined(&scope);
        run.add(Entry::Resolved { frame, scope: scope.id, outcome: summary(run, &outcome) });
    })
}

/// A scope whose future is got rid of after a while.
pub(super) async fn nest_for<'r>(
    run: &'r Arc<Run>,
    frame: usize,
    scope: &program::Scope,
    after: Span,
    leave: fn(Boxed<'r, ()>),
) {
    let mut nested = nest(run, Some(frame), scope.clone());
    tokio::select! {
        biased;
        () = &mut nested => {}
        () = pause(after) => leave(nested),
    }
}

pub(super) fn nest_tried(
    run: &Arc<Run>,
    frame: usize,
    scope: program::Scope,
    after: Span,
) -> Boxed<'_, Result<(), Fault>> {
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

pub(super) fn shielded<'n>(
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
        let inside = async move {
            let result = frame(here, Arc::clone(run), code, token, None).await;
            if let Err(Fault::By(id)) = &result {
                // A value up to now, which is dropped with the frame if that goes first.
                run.not_raised(*id);
            }
            result
        };
        let inside = sc_tokio::shield(Duration::from_millis(limit.ms), inside);
        let result = AssertUnwindSafe(inside).catch_unwind().await;
        let result = result.map(|ended| ended.map_err(Fault::Cancelled).and_then(|result| result.map(drop)));
        let what = match &result {
            Ok(Ok(())) => Seen::Value,
            Ok(Err(fault)) => Seen::Error(fault.raised()),
            Err(payload) => Seen::Panic(number(&**payload).expect("a panic of the program")),
        };
        if let Seen::Panic(id) = what {
            run.delivered(id);
        }
        run.add(Entry::Unshielded { frame: outer, code: id, what });
        pause(after).await;
        result.unwrap_or_else(|payload| resume_unwind(payload))
    })
}

fn number_of(scope: &Scope<Fault>) -> usize {
    scope.name().and_then(|name| name.parse().ok()).expect("scopes are named by their numbers")
}

pub(super) fn defer(scope: &Scope<Fault>, run: &Arc<Run>, finalizer: Finalizer) {
    let (run, scope_id, token) = (Arc::clone(run), number_of(scope), run.token(finalizer.id));
    scope.defer(async move |end: ScopeEnd| finalize(run, scope_id, finalizer, end.kind().to_string(), token).await);
}

async fn finalize(
    run: Arc<Run>,
    scope: usize,
    finalizer: Finalizer,
    told: String,
    captured: impl Send,
) -> Result<(), Fault> {
    let Finalizer { id, takes, end, .. } = finalizer;
    run.add(Entry::Finalizing { scope, id, told });
    let log = Arc::clone(&run);
    let told = move |how| log.add(Entry::Finalized { scope, id, how });
    let mut guard = Guard { how: How::Dropped, told };
    pause(takes).await;
    drop(captured);
    guard.how = match end {
        End::Value => How::Value,
        End::Error => How::Error,
        End::Panic => How::Panic,
    };
    if end != End::Value {
        run.raised(id);
    }
    finish(end, id)
}

/// Acquires a resource; its release is a finalizer.
pub(super) async fn acquire<'n>(
    scope: &'n Scope<Fault>,
    run: &Arc<Run>,
    outer: usize,
    resource: &program::Resource,
) -> Option<Lease<'n, Token>> {
    let code = resource.acquire.code.clone();
    let (id, token) = (code.id, run.token(code.id));
    let (finalizer, released) = (resource.release.clone(), run.token(resource.release.id));
    let (by, scope_id) = (Arc::clone(run), number_of(scope));
    let release = async move |resource: Result<Token, Leaked<Token>>, end: ScopeEnd| {
        let told = format!("{}{}", end.kind(), if resource.is_err() { ", leaked" } else { "" });
        finalize(by, scope_id, finalizer, told, (resource, released)).await
    };
    let code = frame(Here::Nothing, Arc::clone(run), code, token, None);
    let acquired = AssertUnwindSafe(scope.resource(code, release)).catch_unwind().await;
    let (what, lease) = match acquired {
        Ok(Ok(lease)) => (Seen::Value, Some(lease)),
        Ok(Err(fault)) => (Seen::Error(fault.raised()), None),
        Err(payload) => (Seen::Panic(number(&*payload).expect("a panic of the program")), None),
    };
    if let (true, Some(lease)) = (resource.leaks, &lease) {
        unpoisoned(&run.ran).leaked.push(lease.share());
    }
    run.add(Entry::Saw { frame: outer, child: id, what: run.deliver(what) });
    lease
}

pub(super) fn summary(run: &Run, outcome: &Outcome<(), Fault>) -> Summary {
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

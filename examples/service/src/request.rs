//! Every request is a scope with a deadline.
//!
//! What a handler starts with `sc_tokio::spawn`, in itself or in whatever it calls, belongs to the request: it is waited for before the
//! answer is sent, and stopped when the deadline passes or the client leaves. The handler needs no annotation for that.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sc_tokio::{OutcomeKind, Supervise, nursery};

use crate::app::App;
use crate::deadline;
use crate::error::ApiError;
use crate::log::log;

/// The layer: `axum::middleware::from_fn_with_state(app, request::scope)`.
///
/// Under [`Supervise`] a task that panics is, as with Tokio, the business of whoever awaits its handle. A handler that panics is
/// answered for, and the connection goes on.
///
/// # Cancel safety
///
/// Dropping it, as hyper does when the client leaves, stops what the request has started; the connection waits for that (P3).
pub async fn scope(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let deadline = match deadline::of(request.headers(), &app.config) {
        Ok(deadline) => deadline,
        Err(refused) => return ApiError::from(refused).into_response(),
    };
    let outcome = nursery!(async |_n| -> Result<Response, ApiError> { Ok(next.run(request).await) })
        .named("request")
        .policy(Supervise)
        .timeout(deadline)
        .outcome()
        .await;
    if outcome.kind() != OutcomeKind::Ok {
        log(format_args!("{outcome}"));
    }
    // A handler that has answered has answered, whatever became of the rest of its request.
    let stopped = outcome.cancelled().cloned();
    outcome.into_value().unwrap_or_else(|| stopped.map_or(ApiError::Internal, ApiError::Cancelled).into_response())
}

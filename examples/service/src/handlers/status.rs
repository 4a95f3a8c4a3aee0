//! What operators ask, and their machines: is it alive, is it ready, what is it doing?

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::app::App;
use crate::pool::Occupancy;
use crate::upstream::Upstream;

/// `GET /live`: restart it if this does not answer.
pub async fn live() -> &'static str {
    "alive\n"
}

/// `GET /ready`: send it no new requests while this says 503. So it does before the first rates are there, and from the moment in
/// which the shutdown begins.
pub async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if sc_tokio::is_shutting_down() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    if app.rates.borrow().is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting\n");
    }
    (StatusCode::OK, "ready\n")
}

/// `GET /status`: how many tasks and jobs there are, and how the pools are occupied.
pub async fn status(State(app): State<Arc<App>>) -> Json<Value> {
    let pool = |upstream: &Upstream| {
        let Occupancy { open, idle, waiting } = upstream.occupancy();
        json!({ "open": open, "idle": idle, "waiting": waiting })
    };
    Json(json!({
        "tasks": Handle::current().metrics().num_alive_tasks(),
        "jobs": app.jobs.len(),
        "pools": {
            "catalog": pool(&app.catalog),
            "reviews": pool(&app.reviews),
            "payments": pool(&app.payments),
            "mail": pool(&app.mail),
        },
    }))
}

/// `GET /tree`: the scopes and tasks that are alive, as text.
pub async fn tree() -> String {
    sc_tokio::tree().to_string()
}

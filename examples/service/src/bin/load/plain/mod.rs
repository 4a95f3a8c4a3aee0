//! The same service as people write it without scopes: the same routes, answers and bounds, with `tokio::spawn`.
//!
//! What has nothing to do with tasks is the library's: the protocol of the upstreams, the deadline header, the orders.

mod handlers;
mod pool;
mod server;
mod upstream;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use sc_example_service::config::Config;
use sc_example_service::deadline;
use sc_example_service::error::ApiError;
use sc_example_service::orders::Orders;
use sc_example_service::rates::Rates;
use tokio::sync::watch;

pub(crate) use server::serve;
use upstream::Upstream;

/// What handlers share.
#[derive(Debug)]
struct App {
    config: Config,
    catalog: Upstream,
    reviews: Upstream,
    payments: Upstream,
    mail: Upstream,
    exchange: Upstream,
    rates: watch::Sender<Option<Rates>>,
    orders: Orders,
}

impl App {
    fn new(config: Config) -> Arc<Self> {
        let size = config.connections_per_upstream;
        let to = config.upstreams;
        Arc::new(Self {
            config,
            catalog: Upstream::new("catalog", to.catalog, size),
            reviews: Upstream::new("reviews", to.reviews, size),
            payments: Upstream::new("payments", to.payments, size),
            mail: Upstream::new("mail", to.mail, size),
            exchange: Upstream::new("exchange", to.rates, 1),
            rates: watch::Sender::new(None),
            orders: Orders::default(),
        })
    }

    fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/products/{id}", get(handlers::product))
            .route("/search", get(handlers::search))
            .route("/orders/{id}", put(handlers::put_order).get(handlers::get_order))
            .route("/rates", get(handlers::rates))
            .route("/rates/stream", get(handlers::stream))
            .layer(from_fn_with_state(Arc::clone(self), with_deadline))
            .route("/live", get(handlers::live))
            .route("/ready", get(handlers::ready))
            .route("/status", get(handlers::status))
            .with_state(Arc::clone(self))
    }
}

async fn with_deadline(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let deadline = match deadline::of(request.headers(), &app.config) {
        Ok(deadline) => deadline,
        Err(refused) => return ApiError::from(refused).into_response(),
    };
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the deadline has passed").into_response(),
    }
}

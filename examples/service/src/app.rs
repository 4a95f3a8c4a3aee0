//! What handlers share, and the routes.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, put};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::handlers::{orders, products, rates, search, status};
use crate::orders::Orders;
use crate::rates::Rates;
use crate::request;
use crate::upstream::Upstream;

/// What handlers share.
#[derive(Debug)]
pub struct App {
    /// What the operator has set.
    pub config: Config,
    /// Knows the products.
    pub catalog: Upstream,
    /// Knows what people say about them.
    pub reviews: Upstream,
    /// Takes money.
    pub payments: Upstream,
    /// Sends mail.
    pub mail: Upstream,
    /// Asked for the rates by the refresher, and by nobody else.
    pub exchange: Upstream,
    /// The rates, as they were last seen; `None` before that.
    pub rates: watch::Sender<Option<Rates>>,
    /// The orders.
    pub orders: Orders,
    /// Counts the jobs that outlive their requests, so that the program can wait for them.
    pub jobs: TaskTracker,
}

impl App {
    /// A new one, with pools that are still empty.
    pub fn new(config: Config) -> Arc<Self> {
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
            jobs: TaskTracker::new(),
        })
    }

    /// The routes. Those for operators are no scopes: they have to answer when nothing else does.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/products/{id}", get(products::product))
            .route("/search", get(search::search))
            .route("/orders/{id}", put(orders::put).get(orders::get))
            .route("/rates", get(rates::current))
            .route("/rates/stream", get(rates::stream))
            .layer(from_fn_with_state(Arc::clone(self), request::scope))
            .route("/live", get(status::live))
            .route("/ready", get(status::ready))
            .route("/status", get(status::status))
            .route("/tree", get(status::tree))
            .with_state(Arc::clone(self))
    }
}

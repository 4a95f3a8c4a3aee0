//! The handlers.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::stream::{self, Stream};
use sc_example_service::error::ApiError;
use sc_example_service::handlers::orders::NewOrder;
use sc_example_service::handlers::products::{Page, Product};
use sc_example_service::handlers::search::{PARTS, Search};
use sc_example_service::orders::{Order, Paying, Receipt};
use sc_example_service::rates::Rates;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::App;
use super::upstream::Upstream;

pub(super) async fn product(State(app): State<Arc<App>>, Path(id): Path<u32>) -> Result<Json<Page>, ApiError> {
    let (catalog, reviewers, patience) = (Arc::clone(&app), Arc::clone(&app), app.config.optional_part);
    let product = tokio::spawn(async move { catalog.catalog.ask::<Product>(&format!("product {id}")).await });
    let reviews =
        tokio::spawn(
            async move { timeout(patience, reviewers.reviews.ask::<Vec<String>>(&format!("reviews {id}"))).await },
        );

    let product = product.await.map_err(|_| ApiError::Internal)??;
    let product = product.ok_or_else(|| ApiError::NotFound(format!("product {id}")))?;
    let (reviews, missing) = match reviews.await {
        Ok(Ok(Ok(reviews))) => (Some(reviews.unwrap_or_default()), vec![]),
        _ => (None, vec!["reviews"]),
    };
    Ok(Json(Page { product, reviews, missing }))
}

pub(super) async fn search(
    State(app): State<Arc<App>>,
    Query(search): Query<Search>,
) -> Result<Json<Vec<String>>, ApiError> {
    let mut parts = Vec::new();
    for part in 0..PARTS {
        let app = Arc::clone(&app);
        let question = format!("search {part} {}", json!(search.r#for));
        parts.push(tokio::spawn(async move { app.catalog.ask::<Vec<String>>(&question).await }));
    }
    let mut found = Vec::new();
    for part in parts {
        let names = part.await.map_err(|_| ApiError::Internal)??;
        found.extend(names.unwrap_or_default());
    }
    Ok(Json(found))
}

pub(super) async fn get_order(State(app): State<Arc<App>>, Path(id): Path<u64>) -> Result<Json<Order>, ApiError> {
    app.orders.find(id).map(Json).ok_or_else(|| ApiError::NotFound(format!("order {id}")))
}

pub(super) async fn put_order(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
    request: Request,
) -> Result<(StatusCode, Json<Order>), ApiError> {
    let body = timeout(app.config.body_timeout, Json::<NewOrder>::from_request(request, &()));
    let Json(order) = body.await.map_err(|_| ApiError::BodyTooSlow)??;
    let paying = match app.orders.begin(id) {
        Ok(paying) => paying,
        Err(Order::Paying) => return Err(ApiError::Conflict(format!("order {id} is being paid for"))),
        Err(paid) => return Ok((StatusCode::OK, Json(paid))),
    };
    let limit = app.config.payment_limit;
    let paid = tokio::spawn(async move { timeout(limit, pay(app, id, order, paying)).await });
    let receipt = paid.await.map_err(|_| ApiError::Internal)?.map_err(|_| ApiError::Internal)??;
    Ok((StatusCode::CREATED, Json(Order::Paid(receipt))))
}

async fn pay(app: Arc<App>, id: u64, order: NewOrder, paying: Paying) -> Result<Receipt, ApiError> {
    let charge = format!("charge {}", json!({ "order": id, "product": order.product }));
    let receipt: Receipt =
        app.payments.ask(&charge).await?.ok_or_else(|| ApiError::NotFound(format!("product {}", order.product)))?;
    paying.paid(receipt.clone());
    let mail = json!({ "to": order.email, "order": id, "payment": receipt.payment });
    tokio::spawn(async move { app.mail.ask::<()>(&format!("send {mail}")).await });
    Ok(receipt)
}

pub(super) async fn rates(State(app): State<Arc<App>>) -> Result<Json<Rates>, ApiError> {
    let rates = app.rates.borrow().clone();
    rates.map(Json).ok_or_else(|| ApiError::NotFound("rate yet".to_owned()))
}

pub(super) async fn stream(State(app): State<Arc<App>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (events, mut queue) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut rates = app.rates.subscribe();
        loop {
            let now = rates.borrow_and_update().clone();
            let Ok(event) = Event::default().event("rates").json_data(now) else { return };
            if events.send(Ok(event)).await.is_err() || rates.changed().await.is_err() {
                return;
            }
        }
    });
    Sse::new(stream::poll_fn(move |cx| queue.poll_recv(cx))).keep_alive(KeepAlive::default())
}

pub(super) async fn live() -> &'static str {
    "alive\n"
}

pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.rates.borrow().is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting\n");
    }
    (StatusCode::OK, "ready\n")
}

pub(super) async fn status(State(app): State<Arc<App>>) -> Json<Value> {
    let pool = |upstream: &Upstream| {
        let occupancy = upstream.occupancy();
        json!({ "open": occupancy.open, "idle": occupancy.idle, "waiting": occupancy.waiting })
    };
    Json(json!({
        "tasks": Handle::current().metrics().num_alive_tasks(),
        "pools": { "catalog": pool(&app.catalog), "reviews": pool(&app.reviews) },
    }))
}

//! `PUT /orders/{id}`: a side effect that must finish once it has begun, and a job that outlives the request.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::body::Timely;
use crate::error::ApiError;
use crate::log::log;
use crate::orders::{Order, Paying, Receipt};

/// What a client sends.
#[derive(Debug, Deserialize)]
pub struct NewOrder {
    /// What is bought.
    pub product: u32,
    /// Who is told.
    pub email: String,
}

/// How far an order has come.
///
/// # Errors
///
/// 404 if there is none of this number.
pub async fn get(State(app): State<Arc<App>>, Path(id): Path<u64>) -> Result<Json<Order>, ApiError> {
    app.orders.find(id).map(Json).ok_or_else(|| ApiError::NotFound(format!("order {id}")))
}

/// Pays for an order, once.
///
/// # Errors
///
/// 409 while it is being paid for, 502 if the payment fails. At 504 the payment may have been made: ask for the order.
///
/// # Cancel safety
///
/// Dropping it, as hyper does when the client leaves, does not stop a payment that has begun; it has `payment_limit` to finish, and the
/// connection waits for it.
pub async fn put(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
    Timely(order): Timely<NewOrder>,
) -> Result<(StatusCode, Json<Order>), ApiError> {
    let paying = match app.orders.begin(id) {
        Ok(paying) => paying,
        Err(Order::Paying) => return Err(ApiError::Conflict(format!("order {id} is being paid for"))),
        Err(paid) => return Ok((StatusCode::OK, Json(paid))),
    };
    let limit = app.config.payment_limit;
    let paid = sc_tokio::spawn_shielded(limit, pay(app, id, order, paying));
    let receipt = paid.await.map_err(|_| ApiError::Internal)??;
    Ok((StatusCode::CREATED, Json(Order::Paid(receipt))))
}

/// Nothing in here sees the request's deadline, nor that its client has left.
async fn pay(app: Arc<App>, id: u64, order: NewOrder, paying: Paying) -> Result<Receipt, ApiError> {
    let charge = format!("charge {}", json!({ "order": id, "product": order.product }));
    let receipt: Receipt =
        app.payments.ask(&charge).await?.ok_or_else(|| ApiError::NotFound(format!("product {}", order.product)))?;
    paying.paid(receipt.clone());
    let mail = send_mail(Arc::clone(&app), json!({ "to": order.email, "order": id, "payment": receipt.payment }));
    // The answer does not wait for the mail, and the mail goes out whatever becomes of the request.
    sc_tokio::root().spawn(app.jobs.track_future(mail));
    Ok(receipt)
}

async fn send_mail(app: Arc<App>, mail: serde_json::Value) {
    if let Err(error) = app.mail.ask::<()>(&format!("send {mail}")).await {
        log(format_args!("no mail was sent: {error}: {mail}"));
    }
}

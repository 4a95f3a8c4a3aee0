//! `GET /products/{id}`: two upstreams at the same time, one of which may be late.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use sc_tokio::{Supervise, scoped};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::ApiError;
use crate::log::log;

/// What is sold.
#[derive(Debug, Serialize, Deserialize)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// In cents.
    pub price: u32,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Page {
    /// What is sold.
    #[serde(flatten)]
    pub product: Product,
    /// What people say about it.
    pub reviews: Option<Vec<String>>,
    /// The parts that are not there, since whoever knows them was late or failed.
    pub missing: Vec<&'static str>,
}

/// The product, and what people say about it if that can be had in time.
///
/// The scope of the request has the deadline, and what is spawned here inherits it. Under [`Supervise`] a child's failure is up to whoever
/// joins it: `.await` says that there is no answer without it, `.join()` looks at what became of it.
///
/// # Errors
///
/// 404 if there is no such product, 502 if the catalog fails.
#[scoped(|n|, policy = Supervise)]
pub async fn product(State(app): State<Arc<App>>, Path(id): Path<u32>) -> Result<Json<Page>, ApiError> {
    let (catalog, reviewers, patience) = (Arc::clone(&app), Arc::clone(&app), patience(&app));
    let product = n.task().name("catalog").spawn(async move { catalog.catalog.ask(&format!("product {id}")).await });
    let reviews = n.task().name("reviews").timeout(patience);
    let reviews = reviews.spawn(async move { reviewers.reviews.ask(&format!("reviews {id}")).await });

    let product = product.await.ok_or_else(|| ApiError::NotFound(format!("product {id}")))?;
    let (reviews, missing) = match reviews.join().await {
        Ok(reviews) => (Some(reviews.unwrap_or_default()), vec![]),
        Err(failure) => {
            log(format_args!("product {id} without reviews: {failure}"));
            (None, vec!["reviews"])
        }
    };
    Ok(Json(Page { product, reviews, missing }))
}

/// How long to wait for what is optional: so that most of a short deadline is not spent on it.
fn patience(app: &App) -> Duration {
    let left = sc_tokio::remaining().unwrap_or(Duration::MAX);
    app.config.optional_part.min(left / 2)
}

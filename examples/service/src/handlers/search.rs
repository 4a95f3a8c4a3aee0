//! `GET /search?for=`: a handler as it was before, with `sc_tokio::spawn` where `tokio::spawn` stood.
//!
//! It knows nothing of scopes. Its tasks belong to the request all the same, since the layer has opened a scope around it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::error::ApiError;

/// The catalog is kept in so many parts.
pub const PARTS: u32 = 3;

/// What is searched for.
#[derive(Debug, Deserialize)]
pub struct Search {
    /// A part of the name.
    pub r#for: String,
}

/// The names of the products that match, from all parts of the catalog.
///
/// # Errors
///
/// 502 if the catalog fails.
///
/// # Cancel safety
///
/// Dropping it leaves its tasks to the request, which stops them.
pub async fn search(State(app): State<Arc<App>>, Query(search): Query<Search>) -> Result<Json<Vec<String>>, ApiError> {
    let mut parts = Vec::new();
    for part in 0..PARTS {
        let app = Arc::clone(&app);
        // As JSON it is one line, whatever the client has sent.
        let question = format!("search {part} {}", json!(search.r#for));
        parts.push(sc_tokio::spawn(async move { app.catalog.ask::<Vec<String>>(&question).await }));
    }
    let mut found = Vec::new();
    for part in parts {
        let names = part.await.map_err(|_| ApiError::Internal)??;
        found.extend(names.unwrap_or_default());
    }
    Ok(Json(found))
}

//! Request bodies, which have to arrive in time.
//!
//! How much may arrive is axum's business (2 MB, then 413); how long it may take is nobody's, unless somebody says so.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::ApiError;

/// Extracts JSON that has arrived within the configured time.
#[derive(Debug)]
pub struct Timely<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequest<Arc<App>> for Timely<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        match sc_tokio::timeout(app.config.body_timeout, Json::from_request(request, app)).await {
            Ok(body) => body.map(|Json(value)| Self(value)).map_err(ApiError::from),
            // It was not the body's time that was over but the request's.
            Err(late) if late.is_inherited() => Err(late.into()),
            Err(_) => Err(ApiError::BodyTooSlow),
        }
    }
}

//! What a client is told when something is wrong.

use std::fmt::Display;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sc_tokio::{Cancelled, Reason};
use serde_json::json;

use crate::deadline::BadDeadline;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// Somebody else is at it.
    #[error("{0}")]
    Conflict(String),
    /// The deadline that the client asked for is none.
    #[error(transparent)]
    BadDeadline(#[from] BadDeadline),
    /// The body is not what was expected, or too much.
    #[error("{}", .0.body_text())]
    Body(#[from] JsonRejection),
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    BodyTooSlow,
    /// A service that is needed has failed.
    #[error("{name}: {error}")]
    Upstream {
        /// Which one.
        name: &'static str,
        /// What it said, or what happened to it.
        error: String,
    },
    /// The request was stopped: its deadline has passed, or the program ends.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A mistake of ours.
    #[error("something went wrong here")]
    Internal,
}

impl ApiError {
    /// That a service has failed.
    pub fn upstream(name: &'static str, error: &dyn Display) -> Self {
        Self::Upstream { name, error: error.to_string() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::BadDeadline(_) => StatusCode::BAD_REQUEST,
            Self::Body(rejection) => rejection.status(),
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Upstream { .. } => StatusCode::BAD_GATEWAY,
            Self::Cancelled(cancelled) => match cancelled.reason() {
                Reason::Deadline => StatusCode::GATEWAY_TIMEOUT,
                Reason::Shutdown | Reason::MainReturned => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What a client may read: the reason of a cancellation names places in the source.
    fn message(&self) -> String {
        match self {
            Self::Cancelled(cancelled) => match cancelled.reason() {
                Reason::Deadline => "the deadline has passed".to_owned(),
                Reason::Shutdown | Reason::MainReturned => "shutting down".to_owned(),
                _ => Self::Internal.to_string(),
            },
            told => told.to_string(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status(), Json(json!({ "error": self.message() }))).into_response()
    }
}

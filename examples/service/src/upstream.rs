//! Asking another service.

use std::io;
use std::net::SocketAddr;

use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::pool::{Occupancy, Pool};

/// Another service: its name, for messages, and connections to it.
#[derive(Debug, Clone)]
pub struct Upstream {
    name: &'static str,
    pool: Pool,
}

impl Upstream {
    /// The service at an address, by the name under which it is told of.
    pub fn new(name: &'static str, address: SocketAddr, connections: usize) -> Self {
        Self { name, pool: Pool::new(name, address, connections) }
    }

    /// Asks it; `None` if there is no such thing.
    ///
    /// # Errors
    ///
    /// [`ApiError::Upstream`] if it cannot be reached, refuses, or gives what nobody asked for.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection, which tells the upstream; the pool opens another one when it needs to.
    pub async fn ask<T: DeserializeOwned>(&self, question: &str) -> Result<Option<T>, ApiError> {
        let failed = |error: io::Error| ApiError::upstream(self.name, &error);
        let mut connection = self.pool.get().await.map_err(failed)?;
        let answer = connection.ask(question).await.map_err(failed)?;
        read(self.name, &answer)
    }

    /// How its connections are occupied.
    pub fn occupancy(&self) -> Occupancy {
        self.pool.occupancy()
    }
}

/// What an upstream's answer means: a value, or that there is none.
///
/// # Errors
///
/// [`ApiError::Upstream`] if it refuses, or gives what nobody asked for.
pub fn read<T: DeserializeOwned>(name: &'static str, answer: &str) -> Result<Option<T>, ApiError> {
    match answer.split_once(' ') {
        Some(("ok", value)) => serde_json::from_str(value).map(Some).map_err(|error| ApiError::upstream(name, &error)),
        Some(("error", text)) => Err(ApiError::upstream(name, &text)),
        _ if answer == "none" => Ok(None),
        _ => Err(ApiError::upstream(name, &"an answer that is none")),
    }
}

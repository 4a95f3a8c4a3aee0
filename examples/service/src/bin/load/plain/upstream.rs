//! Asking another service.

use std::io;
use std::net::SocketAddr;

use sc_example_service::error::ApiError;
use sc_example_service::pool::Occupancy;
use sc_example_service::upstream::read;
use serde::de::DeserializeOwned;

use super::pool::Pool;

#[derive(Debug, Clone)]
pub(super) struct Upstream {
    name: &'static str,
    pool: Pool,
}

impl Upstream {
    pub(super) fn new(name: &'static str, address: SocketAddr, connections: usize) -> Self {
        Self { name, pool: Pool::new(address, connections) }
    }

    pub(super) async fn ask<T: DeserializeOwned>(&self, question: &str) -> Result<Option<T>, ApiError> {
        let failed = |error: io::Error| ApiError::upstream(self.name, &error);
        let mut connection = self.pool.get().await.map_err(failed)?;
        let answer = connection.ask(question).await.map_err(failed)?;
        read(self.name, &answer)
    }

    pub(super) fn occupancy(&self) -> Occupancy {
        self.pool.occupancy()
    }
}

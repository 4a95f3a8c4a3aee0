//! As much HTTP/1.1 as it takes to make real requests to a real server: `GET`, one per connection.

mod client;
mod server;

pub use client::{Response, get};
pub use server::{ANY_PORT, Reply, serve};

/// The header that [`PLAN_ID`](crate::PLAN_ID) is sent in.
pub const PLAN_ID_HEADER: &str = "x-plan-id";

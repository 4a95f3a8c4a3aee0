//! As much HTTP/1.1 as it takes to make real requests to a real server: `GET`, one per connection.

mod client;
mod server;

pub use client::{Response, get};
pub use server::{Reply, listen, serve};

//! A service with upstreams that do what a test says, and clients that do what no library would let them.

mod client;
mod world;

pub(crate) use client::Client;
pub(crate) use world::{Script, World, eventually, gate, shop, watched};

//! What several examples need and none of them shows: a small HTTP server and client on loopback, and Ctrl-C.

#![forbid(unsafe_code)]

pub mod http;
mod interrupt;

pub use interrupt::interrupted;

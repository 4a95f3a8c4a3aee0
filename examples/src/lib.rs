//! What several examples need and none of them shows: a small HTTP server and client on loopback.

#![forbid(unsafe_code)]

pub mod http;

//! What several examples need and none of them shows: a small HTTP server and client on loopback, and Ctrl-C.

#![forbid(unsafe_code)]

pub mod http;
mod interrupt;

pub use interrupt::interrupted;

sc_tokio::scope_local! {
    /// The run that code works for: one line of text. The HTTP client sends it with each request; the server binds what came
    /// with a request while it is answered.
    pub static PLAN_ID: String;
}

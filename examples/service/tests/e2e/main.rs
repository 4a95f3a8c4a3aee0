//! The service from outside: over real sockets, with real upstreams, in real time.
//!
//! Each test runs in a root of its own (`#[sc_tokio::test]`), which fails it if anything is left when it is done, and says
//! where that was spawned. What has to take its time waits for a gate; what has to be waited for has a minute.

mod bad_input;
mod client_leaves;
mod crowd;
mod deadlines;
mod process;
mod request_scope;
mod shutdown;
mod support;
mod upstream_fails;

//! One file per behaviour.

mod cancellation;
mod deadline;
mod failure;
mod grace;
mod join;
mod spawning;
mod support;
mod teardown;

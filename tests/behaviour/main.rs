//! One file per behaviour.

mod blocking;
mod borrowed;
mod cancellation;
mod dead_child;
mod deadline;
mod dropped_scope;
mod failure;
mod flat;
mod grace;
mod join;
mod policies;
mod spawning;
mod support;
mod teardown;
mod telling;

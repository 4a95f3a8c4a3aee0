//! One file per behaviour.

mod ambient;
mod ambient_corners;
mod blocking;
mod borrowed;
mod cancellation;
mod dead_child;
mod deadline;
mod dropped_scope;
mod entry;
mod escapes;
mod failure;
mod flat;
mod grace;
mod join;
mod limits;
mod peers;
mod policies;
mod root;
mod scope_local;
mod scoped;
mod sizes;
mod spawning;
mod support;
mod teardown;
mod telling;
mod traps;

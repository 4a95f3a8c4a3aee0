//! What one input does, and what a value says: tests that take no time. One binary, since `.ci/mutants` links it once for
//! every mistake that it plants.

mod exits;
mod getters;
mod teardown;
mod values;

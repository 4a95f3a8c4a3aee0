//! What goes wrong around a scope: one file per kind of fault.

#![allow(clippy::let_underscore_future, reason = "a handle that is dropped neither cancels nor detaches its child")]

mod anywhere;
mod clocks;
mod dead_child;
mod destructors;
mod features;
mod forgotten;
mod fuse;
mod odd;
mod panics;
mod panics_held;
mod programs;
mod runtime_end;
mod scale;
mod stopped;
mod support;
mod wakers;

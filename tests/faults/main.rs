//! What goes wrong around a scope: one file per kind of fault.

mod anywhere;
mod dead_child;
mod destructors;
mod forgotten;
mod fuse;
mod panics;
mod programs;
mod runtime_end;
mod support;
mod wakers;

//! What goes wrong around a scope: one file per kind of fault.

mod anywhere;
mod clocks;
mod dead_child;
mod destructors;
mod forgotten;
mod fuse;
mod odd;
mod panics;
mod programs;
mod runtime_end;
mod scale;
mod support;
mod wakers;

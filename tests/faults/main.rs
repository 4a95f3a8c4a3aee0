//! What goes wrong around a scope: one file per kind of fault.

mod anywhere;
mod destructors;
mod forgotten;
mod fuse;
mod panics;
mod programs;
mod support;
mod wakers;

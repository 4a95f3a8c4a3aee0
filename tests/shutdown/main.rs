//! How a program ends: the phases of its shutdown in virtual time, and real processes with real signals.

mod attribute;
mod leaks;
mod phases;
#[cfg(unix)]
mod processes;

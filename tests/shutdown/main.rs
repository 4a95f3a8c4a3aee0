//! How a program ends: the phases of its shutdown in virtual time, and real processes with real signals.

mod phases;
#[cfg(unix)]
mod processes;

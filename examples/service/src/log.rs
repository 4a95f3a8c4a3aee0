//! Lines for whoever runs the service. A service of yours has `tracing` for that.

use std::fmt::Arguments;
use std::io::Write;

/// A line on standard error. `eprintln!` would panic if nobody reads it any more.
pub(crate) fn log(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

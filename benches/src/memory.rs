//! Starts the program that counts allocations, and reads its rows.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use sc_bench::Row;

/// What the rows are called, so that a filter can tell whether the program is needed.
pub(crate) const MEASURES: [&str; 3] =
    ["allocations per child", "bytes per parked child", "memory kept by finished children"];

const PROGRAM: &str = "sc-bench-memory";

pub(crate) fn rows(full: bool) -> Result<Vec<Row>, String> {
    let own = env::current_exe().map_err(|error| format!("this program's own place is unknown: {error}"))?;
    let program = own.with_file_name(format!("{PROGRAM}{}", env::consts::EXE_SUFFIX));
    build(&own)?;
    let mut command = Command::new(&program);
    if full {
        command.arg("--full");
    }
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| {
        format!("{PROGRAM} did not start: {error}; build it with `cargo build --release -p sc-bench`")
    })?;
    if !output.status.success() {
        return Err(format!("{PROGRAM} failed: {}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{PROGRAM} said something else: {error}"))
}

/// Under `cargo run`, which builds only what it runs, brings the program up to date. Started
/// otherwise, what lies beside this program is taken as it is.
fn build(own: &Path) -> Result<(), String> {
    let (Some(cargo), Some(profile)) = (env::var_os("CARGO"), own.parent()) else { return Ok(()) };
    let Some(target) = profile.parent() else { return Ok(()) };
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "sc-bench", "--bin", PROGRAM, "--target-dir"]).arg(target);
    if profile.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    let status = command.stdout(Stdio::null()).status().map_err(|error| format!("cargo did not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{PROGRAM} could not be built")) }
}

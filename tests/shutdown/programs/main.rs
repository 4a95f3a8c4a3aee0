//! Programs that `processes.rs` starts: the first argument says which one.

use std::process::ExitCode;

mod blocked;
mod served;
mod status;
mod stuck;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).expect("the program's name");
    match name.as_str() {
        "clean" => served::clean::main(),
        "delayed" => served::delayed::main(),
        "current_thread" => served::current_thread::main(),
        "own_runtime" => served::own_runtime::main(),
        "stuck" => stuck::stuck::main(),
        "patient" => stuck::patient::main(),
        "deaf" => stuck::deaf::main(),
        "error" => status::error::main(),
        "error_in_the_end" => status::error_in_the_end::main(),
        "code" => status::code::main(),
        "never" => status::never::main(),
        "panics" => status::panics::main(),
        "function" => status::function(),
        "blocked" => blocked::blocked::main(),
        "boundless" => blocked::boundless::main(),
        "blocked_panics" => blocked::panics::main(),
        "not_ours" => blocked::not_ours::main(),
        other => panic!("there is no program `{other}`"),
    }
}

/// Tells the test how far it is.
fn say(line: &str) {
    println!("{line}");
}

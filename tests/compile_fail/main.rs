//! What must not compile, with the message it gives; and that `docs/DESIGN.md` names what exists.
//!
//! The messages were recorded with the compiler that `RECORDED` names, and are compared with that one
//! only: most of their words are rustc's. Any other compiler has to reject the same programs.
//! To record anew, run this test on that compiler with `TRYBUILD=overwrite`.

mod escapes;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const GROUPS: &[&str] = &["escapes", "children", "errors", "scoped", "detached", "owned", "joins", "values", "program"];

/// Set for the process that checks programs without looking at the messages.
const COPIES: &str = "SC_COMPILE_FAIL_COPIES";

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compile_fail")
}

fn programs(group: &str) -> Vec<PathBuf> {
    files(group, "rs")
}

/// The files of a group that end so.
fn files(group: &str, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(here().join(group)).expect("the group has a directory");
    let files = files.map(|file| file.expect("it can be listed").path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    assert!(!files.is_empty(), "{group} is empty: nothing was checked");
    files
}

/// The version of the compiler that trybuild will use.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-V").output().expect("rustc runs");
    let line = String::from_utf8(output.stdout).expect("it speaks UTF-8");
    line.split(' ').nth(1).expect("rustc <version> (..)").to_owned()
}

#[test]
fn what_must_not_compile_does_not_and_its_twins_do() {
    let recorded = fs::read_to_string(here().join("RECORDED")).expect("it says which compiler");
    let (recorded, compiler) = (recorded.trim(), compiler());
    if compiler == recorded {
        check(Path::new("compile_fail"));
    } else {
        println!("messages are those of rustc {recorded}, this is {compiler}: only that it rejects them is checked");
        check_copies();
    }
}

fn check(directory: &Path) {
    // Apart, since programs that must not run are checked all at once.
    trybuild::TestCases::new().pass("compile_fail/pass/*.rs");
    let cases = trybuild::TestCases::new();
    for group in GROUPS {
        cases.compile_fail(directory.join(group).join("*.rs"));
    }
}

/// Checks programs that have no message recorded, in a process of its own: trybuild is told through
/// its environment to accept every message.
fn check_copies() {
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    for group in GROUPS {
        let _ = fs::remove_dir_all(copies.join(group));
        fs::create_dir_all(copies.join(group)).expect("the target directory can be written");
        for program in programs(group) {
            let name = program.file_name().expect("a file");
            fs::copy(&program, copies.join(group).join(name)).expect("the target directory can be written");
        }
    }
    let status = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "copies_do_not_compile", "--ignored", "--nocapture"])
        .env(COPIES, &copies)
        .env("TRYBUILD", "overwrite")
        .status()
        .expect("this test runs itself");
    assert!(status.success(), "see above");
}

#[test]
#[ignore = "run by the other one, on other compilers"]
fn copies_do_not_compile() {
    if let Some(copies) = env::var_os(COPIES) {
        check(Path::new(&copies));
    }
}

#[test]
fn every_message_has_its_program() {
    for group in GROUPS {
        for file in files(group, "stderr") {
            assert!(file.with_extension("rs").exists(), "{} is left over", file.display());
        }
    }
}

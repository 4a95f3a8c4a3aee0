//! Runs the `digest` program on directories made for the purpose.
//!
//! Each run has a deadline, by default a minute, which is what ends a run that hangs. On Linux only: files that nobody
//! can read, not even root, take knowledge of the system.

#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const OF_ABC_LINE: &str = "edeaaff3f1774ad2888673770c6d64097e391bc362d7d6fb34982ddf0efd18cb";

fn digest() -> Command {
    Command::new(env!("CARGO_BIN_EXE_digest"))
}

/// Runs `digest` with these arguments in `directory`.
fn run(directory: &Path, arguments: &[&str]) -> Output {
    digest().current_dir(directory).args(arguments).output().expect("digest starts")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("only text is printed")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("only text is printed")
}

/// Three files with known digests, one of them in a directory.
fn three_files() -> TempDir {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("abc"), "abc").unwrap();
    fs::write(root.path().join("empty"), "").unwrap();
    fs::create_dir(root.path().join("sub")).unwrap();
    fs::write(root.path().join("sub/line"), "abc\n").unwrap();
    root
}

/// Makes a directory that has a path of 2431 bytes plus 201 for each level, as seen from `root`, and a file in it with a
/// name of 250. No path of more than 4095 bytes can be opened, not even by root. Such a tree is made in
/// halves, of which one is moved into the other.
fn deep_file(root: &Path, levels: usize) {
    let half = |name: &str, levels: usize| {
        let top = root.join(name);
        let bottom = (0..levels).fold(top.clone(), |path, _| path.join("d".repeat(200)));
        fs::create_dir_all(&bottom).unwrap();
        (top, bottom)
    };
    let (_, upper) = half("deep", 12);
    let (lower, bottom) = half("half", levels);
    fs::write(bottom.join("f".repeat(250)), "abc").unwrap();
    fs::rename(lower, upper.join("half")).unwrap();
}

fn unreadable_file(root: &Path) {
    deep_file(root, 8);
}

fn unreadable_directory(root: &Path) {
    deep_file(root, 10);
}

#[test]
fn the_table_has_size_lines_and_sha256_of_every_file() {
    let root = three_files();
    let output = run(root.path(), &[]);
    let table = stdout(&output);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["BYTES", "LINES", "SHA-256", "PATH"]);
    assert_eq!(rows[1], ["3", "0", OF_ABC, "abc"]);
    assert_eq!(rows[2], ["0", "0", OF_NOTHING, "empty"]);
    assert_eq!(rows[3], ["4", "1", OF_ABC_LINE, "sub/line"]);
    assert!(table.lines().last().unwrap().starts_with("3 files, 1 line, 7 B in "), "{table}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "", "no progress line without a terminal");
}

#[test]
fn the_json_has_what_the_table_has() {
    let root = three_files();
    let output = run(root.path(), &["--json"]);
    let report = json(&output);
    assert_eq!(report["ended"], "complete");
    assert_eq!(report["total"], serde_json::json!({ "files": 3, "lines": 1, "bytes": 7 }));
    assert_eq!(
        report["files"][2],
        serde_json::json!({ "path": "sub/line", "bytes": 4, "lines": 1, "sha256": OF_ABC_LINE })
    );
    assert_eq!(report["failed"], serde_json::json!([]));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn any_number_of_jobs_gives_the_same_report() {
    let root = TempDir::new().unwrap();
    for n in 0..100 {
        fs::write(root.path().join(format!("{n:03}")), vec![b'\n'; n * 1000]).unwrap();
    }
    let one = json(&run(root.path(), &["--json", "--jobs", "1"]));
    let many = json(&run(root.path(), &["--json", "--jobs", "64"]));
    assert_eq!(one["files"].as_array().unwrap().len(), 100);
    assert_eq!(one["total"]["lines"], 99 * 100 / 2 * 1000);
    assert_eq!(one["files"], many["files"]);
}

#[test]
fn a_single_file_can_be_digested() {
    let root = three_files();
    let output = run(root.path(), &["--json", "abc"]);
    assert_eq!(json(&output)["files"][0]["sha256"], OF_ABC);
}

#[test]
fn fail_fast_ends_with_the_unreadable_file_as_its_error() {
    for make in [unreadable_file, unreadable_directory] {
        let root = three_files();
        make(root.path());
        let output = run(root.path(), &["--json"]);
        let message = stderr(&output);
        assert!(message.starts_with("error: deep/ddd"), "{message}");
        assert!(message.contains("File name too long"), "{message}");
        assert_eq!(json(&output)["ended"], "failed");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn supervise_lists_what_is_unreadable_and_digests_the_rest() {
    for (make, its_name) in [(unreadable_file as fn(&Path), "f"), (unreadable_directory, "d")] {
        let root = three_files();
        make(root.path());
        let output = run(root.path(), &["--policy", "supervise", "--json"]);
        let report = json(&output);
        assert_eq!(report["total"]["files"], 3);
        assert_eq!(report["failed"].as_array().unwrap().len(), 1);
        let path = report["failed"][0]["path"].as_str().unwrap();
        assert!(path.starts_with("deep/ddd") && path.ends_with(its_name), "{path}");
        assert!(report["failed"][0]["error"].as_str().unwrap().starts_with("File name too long"));
        assert_eq!(report["ended"], "failed");
        assert_eq!(stderr(&output), "error: 1 file could not be digested\n");
        assert_eq!(output.status.code(), Some(1));

        let table = stdout(&run(root.path(), &["--policy", "supervise"]));
        assert_eq!(table.lines().filter(|line| line.starts_with("failed: deep/ddd")).count(), 1, "{table}");
    }
}

/// Address 0 of a process is mapped to nothing, so that reading its memory from there fails.
#[test]
fn a_file_that_opens_and_cannot_be_read_is_an_error_with_its_path() {
    let output = digest().arg("/proc/self/mem").output().unwrap();
    assert!(stderr(&output).starts_with("error: /proc/self/mem: Input/output error"), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn links_and_pipes_are_listed_and_never_opened() {
    let root = three_files();
    std::os::unix::fs::symlink("abc", root.path().join("link")).unwrap();
    std::os::unix::fs::symlink(".", root.path().join("loop")).unwrap();
    let made = Command::new("mkfifo").arg(root.path().join("pipe")).status().expect("mkfifo starts");
    assert!(made.success());
    let report = json(&run(root.path(), &["--json"]));
    assert_eq!(report["total"]["files"], 3);
    assert_eq!(
        report["skipped"],
        serde_json::json!([
            { "path": "link", "reason": "symbolic link" },
            { "path": "loop", "reason": "symbolic link" },
            { "path": "pipe", "reason": "not a regular file" },
        ])
    );
}

#[test]
fn git_and_target_directories_are_entered_with_all_only() {
    let root = three_files();
    for directory in [".git", "target"] {
        fs::create_dir(root.path().join(directory)).unwrap();
        fs::write(root.path().join(directory).join("abc"), "abc").unwrap();
    }
    let report = json(&run(root.path(), &["--json"]));
    assert_eq!(report["total"]["files"], 3);
    assert_eq!(report["skipped"].as_array().unwrap().len(), 2);
    let report = json(&run(root.path(), &["--json", "--all"]));
    assert_eq!(report["total"]["files"], 5);
}

#[test]
fn names_that_are_no_text_or_would_break_the_table_are_shown_with_replacements() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join(OsStr::from_bytes(b"no\xfftext")), "abc").unwrap();
    fs::write(root.path().join("two\nlines"), "abc").unwrap();
    let output = run(root.path(), &[]);
    let table = stdout(&output);
    assert!(table.contains(&format!("{OF_ABC}  no\u{fffd}text\n")), "{table}");
    assert!(table.contains(&format!("{OF_ABC}  two\u{fffd}lines\n")), "{table}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn no_time_at_all_exceeds_the_deadline() {
    let root = three_files();
    let output = run(root.path(), &["--timeout", "0s", "--json"]);
    let message = stderr(&output);
    assert!(message.starts_with("error: deadline of 0ns expired in scope `digest` ("), "{message}");
    assert_eq!(json(&output)["ended"], "deadline-exceeded");
    assert_eq!(output.status.code(), Some(124));
}

/// A terabyte that takes no space on the disk, and hours to digest.
fn endless_file(root: &Path) -> PathBuf {
    let path = root.join("endless");
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    path
}

#[test]
fn a_deadline_ends_a_file_half_way() {
    let root = TempDir::new().unwrap();
    endless_file(root.path());
    let output = run(root.path(), &["--timeout", "50ms", "--json"]);
    assert!(stderr(&output).starts_with("error: deadline of 50ms expired"), "{output:?}");
    assert_eq!(json(&output)["files"], serde_json::json!([]));
    assert_eq!(output.status.code(), Some(124));
}

/// The operating system tells when the program has opened the endless file: by then, with one job,
/// it has digested what sorts before it, and listens for the signal.
#[test]
fn an_interrupt_ends_the_run_with_what_was_done_so_far() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("abc"), "abc").unwrap();
    let endless = endless_file(root.path());
    let mut running = digest()
        .current_dir(root.path())
        .args(["--jobs", "1", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let descriptors = PathBuf::from(format!("/proc/{}/fd", running.id()));
    let is_open = || {
        let descriptors = fs::read_dir(&descriptors).into_iter().flatten().flatten();
        descriptors.into_iter().any(|fd| fs::read_link(fd.path()).is_ok_and(|path| path == endless))
    };
    while !is_open() {
        assert_eq!(running.try_wait().unwrap(), None, "it ended before it could be interrupted");
        std::thread::yield_now();
    }
    // The shell's own `kill`, which every system has.
    let sent = Command::new("sh").args(["-c", "kill -INT \"$0\"", &running.id().to_string()]).status().unwrap();
    assert!(sent.success());

    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(stderr(&output).starts_with("interrupted; digested 1 of 2 files, "), "{output:?}");
    let report = json(&output);
    assert_eq!(report["ended"], "interrupted");
    assert_eq!(report["total"]["files"], 1);
    assert_eq!(report["files"][0]["sha256"], OF_ABC);
}

#[test]
fn what_cannot_be_started_with_is_a_usage_error_that_names_it() {
    let root = three_files();
    let cases: [(&[&str], &str); 7] = [
        (&["no/such/directory"], "'no/such/directory'"),
        (&["--timeout", "30"], "time unit needed"),
        (&["--timeout", "soon"], "'soon'"),
        (&["--timeout", "-1s"], "-1"),
        (&["--policy", "hope"], "fail-fast, supervise"),
        (&["--jobs", "0"], "1..=512"),
        (&["--jsno"], "--jsno"),
    ];
    for (arguments, expected) in cases {
        let output = run(root.path(), arguments);
        assert!(stderr(&output).contains(expected), "{arguments:?}: {output:?}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let pipe = root.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo starts").success());
    let output = run(root.path(), &["pipe"]);
    assert!(stderr(&output).contains("neither a directory nor a regular file"), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_help_names_every_option() {
    let output = digest().arg("--help").output().unwrap();
    let help = stdout(&output);
    for option in ["--timeout", "--policy", "--jobs", "--all", "--json", "130"] {
        assert!(help.contains(option), "{option} is missing in {help}");
    }
    assert_eq!(output.status.code(), Some(0));
}

/// A socket, since its other end can be closed before the program starts.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let root = three_files();
    for arguments in [&[][..], &["--json"], &["--help"]] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        let mut command = digest();
        let output = command.current_dir(root.path()).args(arguments).stdout(OwnedFd::from(theirs)).output().unwrap();
        assert_eq!(stderr(&output), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let root = three_files();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = digest().current_dir(root.path()).stdout(full).output().unwrap();
    assert!(stderr(&output).starts_with("error: cannot write the report: "), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

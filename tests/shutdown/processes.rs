//! Real processes and real signals.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a process may take before it counts as hung, and is killed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs. One that hangs is killed, and so fails the test by its status.
struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
    ended: Arc<AtomicBool>,
}

/// How it ended.
struct Ended {
    status: ExitStatus,
    out: String,
    err: String,
}

impl Program {
    fn start(name: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sc-test-programs"));
        let mut child =
            command.arg(name).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let (id, ended) = (child.id(), Arc::new(AtomicBool::new(false)));
        let watched = Arc::clone(&ended);
        std::thread::spawn(move || {
            std::thread::sleep(PATIENCE);
            if !watched.load(Ordering::SeqCst) {
                kill("KILL", id);
            }
        });
        Self { child, out, ended }
    }

    /// Reads until the program has said this.
    fn until(mut self, said: &str) -> Self {
        let mut line = String::new();
        while line.trim_end() != said {
            line.clear();
            let read = self.out.read_line(&mut line).expect("it speaks UTF-8");
            assert!(read > 0, "the program ended before it said `{said}`");
        }
        self
    }

    fn signal(self, signal: &str) -> Self {
        kill(signal, self.child.id());
        self
    }

    /// The rest of what it says, and how it ends.
    fn end(mut self) -> Ended {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).expect("it speaks UTF-8");
        let mut errors = self.child.stderr.take().expect("it is piped");
        errors.read_to_string(&mut err).expect("it speaks UTF-8");
        let status = self.child.wait().expect("it is a child");
        self.ended.store(true, Ordering::SeqCst);
        Ended { status, out, err }
    }
}

fn kill(signal: &str, id: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{signal} {id}")]).status().expect("there is a shell");
    assert!(status.success());
}

impl Ended {
    #[track_caller]
    fn assert(&self, code: i32, out: &str, err: &[&str]) {
        assert_eq!(self.status.code(), Some(code), "{}", self.err);
        assert_eq!(self.out, out, "{}", self.err);
        if err.is_empty() {
            assert_eq!(self.err, "");
        }
        for text in err {
            assert!(self.err.contains(text), "{text} is not in\n{}", self.err);
        }
    }
}

#[test]
fn a_signal_begins_a_shutdown_and_a_clean_one_is_a_success() {
    for program in ["clean", "current_thread", "own_runtime"] {
        for signal in ["TERM", "INT"] {
            let ended = Program::start(program).until("ready").signal(signal).end();
            let mut lines: Vec<_> = ended.out.lines().collect();
            lines.sort_unstable();
            assert_eq!(lines, ["answered", "drain", "not ready"], "{program} {signal}: {}", ended.err);
            assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{program} {signal}");
        }
    }
}

#[test]
fn the_drain_comes_after_the_delay() {
    Program::start("delayed").until("ready").signal("TERM").end().assert(0, "not ready\ndrain\nanswered\n", &[]);
}

#[test]
fn what_does_not_finish_is_named_and_the_status_is_a_failure() {
    let ended = Program::start("stuck").until("ready").signal("TERM").end();
    let header = "sc_tokio: not finished in the drain time of 100ms, and cancelled:\n";
    ended.assert(1, "not ready\n", &[header, "  child `upload` (", "stuck.rs:", ") in root > session, ", "ms old\n"]);
    ended.assert(1, "not ready\n", &["  the main function\n"]);
}

#[test]
fn a_second_signal_ends_the_drain_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let ended = Program::start("patient").until("ready").signal(first).until("not ready").signal(second).end();
        ended.assert(
            1,
            "",
            &["sc_tokio: not finished when the drain was cut short, and cancelled:\n", "  child `upload` ("],
        );
    }
}

#[test]
fn without_signals_a_signal_does_what_it_does_to_any_process() {
    let ended = Program::start("deaf").until("ready").signal("TERM").end();
    assert_eq!((ended.status.code(), ended.out.as_str(), ended.err.as_str()), (None, "", ""));
}

#[test]
fn the_status_is_that_of_the_main_function() {
    Program::start("error").end().assert(1, "", &["Error: \"the disk is full\"\n"]);
    Program::start("code").end().assert(7, "", &[]);
    Program::start("never").until("ready").signal("TERM").end().assert(3, "", &[]);
    Program::start("panics").end().assert(101, "", &["the main function's own"]);
}

#[test]
fn an_error_is_told_although_somebody_was_abandoned() {
    let ended = Program::start("error_in_the_end").end();
    let header = "sc_tokio: cancelled, not ended in 50ms, and abandoned:\n";
    ended.assert(1, "", &["Error: \"the disk is full\"\n", header, "status.rs:"]);
}

#[test]
fn a_function_that_is_not_the_main_function_returns_its_value() {
    let said = "the shutdown cut the program short; what had not finished is named above\n";
    Program::start("function").end().assert(0, said, &["  the main function\n"]);
}

#[test]
fn blocking_code_that_does_not_end_is_abandoned_and_named() {
    let ended = Program::start("blocked").until("ready").signal("TERM").end();
    ended.assert(1, "", &["not finished in the drain time of 50ms", "not ended in 50ms, and abandoned", "blocked.rs:"]);
}

#[test]
fn blocking_code_that_nobody_owns_delays_the_end_for_a_bounded_time() {
    Program::start("not_ours").end().assert(0, "", &[]);
    Program::start("blocked_panics").end().assert(101, "", &["beside a thread that is blocked"]);
    Program::start("boundless").end().assert(0, "", &[]);
}

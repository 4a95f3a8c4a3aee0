//! Runs the `hedged` program. Whoever is not to win takes an hour, so that no clock decides.

use std::process::{Command, Output};

fn hedged(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hedged")).args(arguments).output().expect("hedged starts")
}

#[track_caller]
fn assert_lines(output: &Output, code: i32, expected: &[&str]) {
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "{output:?}");
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_loser_is_cancelled_and_joined() {
    let expected = [
        "asked replica 0",
        "asked replica 1",
        "replica 1 answered",
        "replica 0 was cancelled and joined",
        "answer: Hello from the page.",
    ];
    assert_lines(&hedged(&["--after", "1ms", "--timeout", "1m", "1h", "0s"]), 0, &expected);
}

#[test]
fn a_replica_that_answers_in_time_is_the_only_one_asked() {
    let expected = ["asked replica 0", "replica 0 answered", "answer: Hello from the page."];
    assert_lines(&hedged(&["--after", "1h", "--timeout", "1m", "0s", "0s"]), 0, &expected);
}

#[test]
fn the_next_is_asked_at_once_when_one_has_failed() {
    let expected = [
        "asked replica 0",
        "replica 0: status 503",
        "asked replica 1",
        "replica 1 answered",
        "answer: Hello from the page.",
    ];
    assert_lines(&hedged(&["--after", "1h", "--timeout", "1m", "down", "0s"]), 0, &expected);
}

#[test]
fn without_any_answer_the_last_failure_is_told() {
    let output = hedged(&["--after", "1h", "--timeout", "1m", "down", "down"]);
    let expected = ["asked replica 0", "replica 0: status 503", "asked replica 1", "replica 1: status 503"];
    assert_lines(&output, 1, &expected);
    assert_eq!(stderr(&output), "error: no replica could answer; the last said: replica 1: status 503\n");
}

#[test]
fn the_time_out_ends_every_request() {
    let output = hedged(&["--after", "1h", "--timeout", "200ms", "1h", "1h"]);
    assert!(stderr(&output).starts_with("error: deadline of 200ms expired in scope `hedged` ("), "{output:?}");
    assert_eq!(output.status.code(), Some(124));
}

#[test]
fn what_cannot_be_started_with_is_a_usage_error() {
    let output = hedged(&["soon"]);
    assert!(stderr(&output).contains("'soon'"), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
}

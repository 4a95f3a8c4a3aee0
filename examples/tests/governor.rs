//! Runs the `governor` program on plans made for the purpose.
//!
//! What ends a run is never a clock, except where a deadline is the matter; a run that hangs is ended by its plan's
//! deadline of a minute, and its exit code then is not the one expected.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

fn governor() -> Command {
    Command::new(env!("CARGO_BIN_EXE_governor"))
}

/// A directory with a plan in it.
fn directory(plan: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("plan.json"), plan).unwrap();
    directory
}

fn plan(sessions: &Value) -> String {
    json!({ "name": "plan", "limits": { "deadline": "1m" }, "sessions": sessions }).to_string()
}

/// One session of that policy: one executor that can be made to fail, and one that hangs until the session ends.
fn two_executors(policy: &str, other: &Value) -> String {
    let executors =
        json!([{ "name": "page", "work": { "get": { "paths": ["/page/1"] } } }, { "name": "other", "work": other }]);
    plan(&json!([{ "name": "session", "limits": { "policy": policy }, "executors": executors }]))
}

fn run(plan: &str, arguments: &[&str]) -> Output {
    let directory = directory(plan);
    governor().current_dir(&directory).args(["--plan", "plan.json"]).args(arguments).output().expect("governor starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("only text is printed")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("only text is printed")
}

#[track_caller]
fn assert_report(output: &Output, code: i32, expected: &[&str]) {
    let report = stdout(output);
    for line in expected {
        assert!(report.contains(line), "{line:?} is missing in:\n{report}\n{}", stderr(output));
    }
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let left: Vec<_> = report.lines().filter(|line| line.contains("left running")).collect();
    let nothing = |line: &&str| line.contains(" 0 of ") && line.contains(", 0 of ");
    assert!(left.iter().all(nothing), "{report}");
}

#[test]
fn the_committed_plan_runs_to_its_end() {
    let output = governor().output().unwrap();
    assert_report(
        &output,
        0,
        &[
            "session collect: ok (hard)",
            "- pages         ok: 4 of 4 pages, 5782 bytes",
            "- documents     ok: 3 of 3 files, ",
            "- primes        ok: 4 of 4 parts, 78498 prime numbers below 1000000",
            "session build: ok (hard)\n  left running    0 of 3 tasks, 0 of 1 processes",
            "- compile       ok: 3 lines, the last: step 3",
            "session probes: partial (soft)\n  failed          2 executors\n",
            "- mirrors       ok: 2 of 3 pages, 138 bytes; GET /gone: status 404",
            "- broken        failed: the disk is on fire",
            "- silent        deadline exceeded: deadline expired in `silent`",
            "plan research: done in ",
        ],
    );
    let told = stderr(&output);
    for line in ["research: running, ", "build/compile: running, ", "collect: ok\n", "probes: partial\n"] {
        assert!(told.contains(line), "{line:?} is missing in:\n{told}");
    }
    assert!(most_at_once(&told) <= 4, "{told}");
}

#[test]
fn a_failing_executor_takes_down_a_hard_session() {
    let output = run(&two_executors("hard", &json!("hang")), &["--fail", "page"]);
    assert_report(
        &output,
        1,
        &[
            "session session: failed (hard)",
            "winning error   page: told to fail by --fail",
            "cancelled       a failure ended the scope\n  origin          scope `session` (",
            "last exit       ",
            "- page          failed: told to fail by --fail",
            "plan plan: 1 of 1 sessions failed",
        ],
    );
    // It may have been cancelled before it began.
    let ends = ["cancelled: a failure ended the scope in `session`", "never started"];
    let report = stdout(&output);
    assert!(ends.iter().any(|end| report.contains(&format!("- other         {end}"))), "{report}");
}

#[test]
fn a_failing_executor_does_not_take_down_a_soft_session() {
    let output = run(&two_executors("soft", &json!({ "get": { "paths": ["/slow/50"] } })), &["--fail", "session/page"]);
    assert_report(
        &output,
        0,
        &[
            "session session: partial (soft)\n  failed          1 executor\n",
            "- page          failed: told to fail by --fail",
            "- other         ok: 1 of 1 pages",
            "plan plan: done in ",
        ],
    );
}

#[test]
fn a_failing_session_takes_down_a_hard_plan() {
    let plan = json!({
        "name": "plan",
        "limits": { "policy": "hard", "deadline": "1m" },
        "sessions": [
            { "name": "first", "executors": [{ "name": "bad", "work": { "fail": { "message": "no luck" } } }] },
            { "name": "second", "executors": [{ "name": "patient", "work": "hang" }] },
        ],
    });
    let output = run(&plan.to_string(), &[]);
    let expected =
        ["session first: failed (hard)\n  winning error   bad: no luck", "plan plan: failed: first: bad: no luck"];
    assert_report(&output, 1, &expected);
    // It may have been cancelled before it began.
    let second = ["cancelled (hard)\n  cancelled       a failure ended the scope, inherited", "never started"];
    let report = stdout(&output);
    assert!(second.iter().any(|end| report.contains(&format!("session second: {end}"))), "{report}");
}

#[test]
fn a_hard_executor_fails_with_its_first_part_and_a_soft_one_keeps_the_others() {
    for (policy, code, end) in
        [("hard", 1, "failed: GET /gone: status 404"), ("soft", 0, "ok: 1 of 2 pages, 16 bytes; GET /gone: status 404")]
    {
        let executor = json!({
            "name": "pages", "limits": { "policy": policy }, "work": { "get": { "paths": ["/page/1", "/gone"] } },
        });
        let output = run(&plan(&json!([{ "name": "session", "executors": [executor] }])), &[]);
        assert_report(&output, code, &[&format!("- pages         {end}")]);
    }
}

#[test]
fn work_that_cannot_be_done_is_an_error_that_says_what() {
    for (work, error) in [
        (json!({ "read": { "files": ["nowhere.txt"] } }), "nowhere.txt: No such file or directory"),
        (json!({ "run": { "program": "no-such-program", "args": [] } }), "no-such-program: No such file or directory"),
        (
            json!({ "run": { "program": "sh", "args": ["-c", "echo no coal >&2; exit 3"] } }),
            "sh: exit status: 3: no coal",
        ),
        (json!({ "get": { "paths": ["/gone"] } }), "GET /gone: status 404"),
    ] {
        let output = run(&two_executors("hard", &work), &["--quiet"]);
        assert_report(&output, 1, &[&format!("winning error   other: {error}")]);
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn the_deadline_of_the_plan_reaches_every_level() {
    let output = run(&two_executors("soft", &json!("hang")), &["--deadline", "500ms"]);
    assert_report(
        &output,
        124,
        &[
            "session session: deadline exceeded (soft)",
            "cancelled       deadline expired, inherited\n  origin          scope `plan` (",
            "- other         deadline exceeded: deadline expired in `plan`",
            "plan plan: deadline of 500ms expired in scope `plan` (",
        ],
    );
}

#[test]
fn a_plan_without_any_time_never_starts() {
    let output = run(&two_executors("hard", &json!("hang")), &["--deadline", "0s"]);
    assert_report(&output, 124, &["session session: never started", "- page          never started"]);
}

#[test]
fn the_deadline_of_a_session_is_its_failure_and_that_of_an_executor_can_be_survived() {
    let hang = json!([{ "name": "hang", "work": "hang" }]);
    let session = json!([{ "name": "s", "limits": { "policy": "soft", "deadline": "50ms" }, "executors": hang }]);
    assert_report(
        &run(&plan(&session), &[]),
        1,
        &["session s: deadline exceeded (soft)\n  cancelled       deadline expired\n"],
    );

    let hang = json!([{ "name": "hang", "limits": { "deadline": "50ms" }, "work": "hang" }]);
    let session = json!([{ "name": "s", "limits": { "policy": "soft" }, "executors": hang }]);
    assert_report(&run(&plan(&session), &[]), 0, &["session s: partial (soft)\n  failed          1 executor\n"]);

    let session = json!([{ "name": "s", "executors": hang }]);
    assert_report(&run(&plan(&session), &[]), 1, &["winning error   hang: deadline of 50ms expired in scope `hang` ("]);
}

#[test]
fn a_longer_deadline_below_does_not_extend_the_one_above() {
    let executors =
        json!([{ "name": "bad", "limits": { "deadline": "9h" }, "work": { "fail": { "message": "no luck" } } }]);
    let output = run(&plan(&json!([{ "name": "s", "limits": { "deadline": "1h" }, "executors": executors }])), &[]);
    let told = stderr(&output);
    for scope in ["s: ", "s/bad: "] {
        let line = told.lines().find_map(|line| line.strip_prefix(scope)?.strip_prefix("running, "));
        let left: f64 = line.unwrap().strip_suffix("s left").unwrap().parse().unwrap();
        assert!(left <= 60.0, "{told}");
    }
}

/// The grace of the executor is what its session waits for.
#[test]
fn the_report_tells_how_long_the_last_exit_took() {
    let hang = json!([{ "name": "hang", "limits": { "grace": "50ms" }, "work": "hang" }]);
    let output = run(&plan(&json!([{ "name": "s", "limits": { "deadline": "500ms" }, "executors": hang }])), &[]);
    let report = stdout(&output);
    let drained = report.lines().find_map(|line| line.strip_prefix("  last exit       ")).expect(&report);
    let millis: f64 = drained.split_once("ms ").expect(&report).0.parse().expect(&report);
    assert!(millis >= 49.0, "{report}");
}

/// The program while it runs, in a directory with a plan.
struct Running {
    process: Child,
    errors: BufReader<ChildStderr>,
}

fn start(directory: &TempDir) -> Running {
    let mut process = governor()
        .current_dir(directory)
        .args(["--plan", "plan.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let errors = BufReader::new(process.stderr.take().unwrap());
    Running { process, errors }
}

impl Running {
    /// Reads what is told until that is enough.
    fn told_until(&mut self, is_enough: impl Fn(&str) -> bool) -> String {
        let mut told = String::new();
        while !is_enough(&told) {
            assert_ne!(self.errors.read_line(&mut told).unwrap(), 0, "it ended too early:\n{told}");
        }
        told
    }

    fn interrupt(self, told: &mut String) -> Output {
        // The shell's own `kill`, which every system has.
        let sent =
            Command::new("sh").args(["-c", "kill -INT \"$0\"", &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.end(told)
    }

    /// Waits for the end, and adds the rest to what was told.
    fn end(mut self, told: &mut String) -> Output {
        self.errors.read_to_string(told).unwrap();
        self.process.wait_with_output().unwrap()
    }
}

/// Waits until the process that the plan starts has written its number, and says which it is.
fn process(directory: &Path) -> String {
    loop {
        if let Some(number) = fs::read_to_string(directory.join("pid")).unwrap_or_default().strip_suffix('\n') {
            return number.to_owned();
        }
        std::thread::yield_now();
    }
}

/// Two sessions with two executors each, and how many of these run at once.
fn four_executors(at_once: usize, work: &Value) -> String {
    let executors = json!([{ "name": "first", "work": work }, { "name": "second", "work": work }]);
    let sessions = ["a", "b"].map(|name| json!({ "name": name, "executors": executors }));
    json!({ "name": "plan", "limits": { "deadline": "1m" }, "executors_at_once": at_once, "sessions": sessions })
        .to_string()
}

/// The most executors that ran at the same time, as told by the program.
fn most_at_once(told: &str) -> usize {
    let (mut running, mut most) = (0_usize, 0);
    for (path, state) in told.lines().filter_map(|line| line.split_once(": ")) {
        match state {
            _ if !path.contains('/') => {}
            state if state.starts_with("running") => running += 1,
            state if state.starts_with("waiting") || state == "never started" => {}
            _ => running -= 1,
        }
        most = most.max(running);
    }
    most
}

#[test]
fn no_more_executors_run_at_once_than_the_plan_says_in_all_sessions_together() {
    // Each ends when the test has seen that others wait.
    let until_told =
        json!({ "run": { "program": "sh", "args": ["-c", "until [ -e go ]; do sleep 0.01; done; echo done"] } });
    for at_once in [1, 3] {
        let directory = directory(&four_executors(at_once, &until_told));
        let mut running = start(&directory);
        let mut lines = running.told_until(|lines| lines.matches(": waiting for its turn\n").count() == 4 - at_once);
        fs::write(directory.path().join("go"), "").unwrap();
        let output = running.end(&mut lines);
        let done = "- first         ok: 1 lines, the last: done\n  - second        ok: 1 lines, the last: done\n";
        assert_report(&output, 0, &["session a: ok", "session b: ok", done]);
        assert!(most_at_once(&lines) <= at_once, "{lines}");
        assert_eq!(lines.matches("waiting for its turn").count(), 4 - at_once, "{lines}");
    }
}

#[test]
fn as_many_executors_run_at_once_as_the_plan_says() {
    // Each ends when there are two.
    let meet = "mkdir $$.here; until [ $(ls -d *.here | wc -l) -ge 2 ]; do sleep 0.01; done";
    let plan = four_executors(2, &json!({ "run": { "program": "sh", "args": ["-c", meet] } }));
    assert_report(&run(&plan, &[]), 0, &["plan plan: done in "]);
}

#[test]
fn an_executor_that_waits_when_the_plan_is_cancelled_never_starts() {
    let executors = json!([{ "name": "first", "work": "hang" }, { "name": "second", "work": "hang" }]);
    let plan = json!({
        "name": "plan",
        "limits": { "deadline": "1m" },
        "executors_at_once": 1,
        "sessions": [{ "name": "s", "executors": executors }],
    });
    let directory = directory(&plan.to_string());
    let mut running = start(&directory);
    let mut told = running.told_until(|lines| {
        let is_there = |line| lines.contains(line);
        is_there("s/first: running") && is_there("s/second: waiting for its turn\n")
    });
    let output = running.interrupt(&mut told);
    let first = "- first         cancelled: an external signal fired in `plan`";
    assert_report(&output, 130, &["session s: cancelled (hard)", first, "- second        never started"]);
    let second = told.lines().filter_map(|line| line.strip_prefix("s/second: ")).collect::<Vec<_>>();
    assert_eq!(second, ["waiting for its turn", "never started"]);
}

/// The run's own name for itself.
fn plan_id(output: &Output) -> String {
    stdout(output)
        .lines()
        .find_map(|line| line.strip_prefix("  id              "))
        .expect("the report tells it")
        .to_owned()
}

#[test]
fn the_id_of_the_run_reaches_every_process_and_every_request() {
    let process = json!({ "run": { "program": "sh", "args": ["-c", "echo \"id is $PLAN_ID\""] } });
    let executors = json!([
        { "name": "process", "work": process },
        // It answers with the id that came with the request, and with 404 if none did.
        { "name": "request", "work": { "get": { "paths": ["/plan-id"] } } },
    ]);
    let plan = plan(&json!([{ "name": "one", "executors": executors }, { "name": "two", "executors": executors }]));
    // What the governor itself was started with is not it.
    let output = || {
        let directory = directory(&plan);
        governor().current_dir(&directory).args(["--plan", "plan.json"]).env("PLAN_ID", "stale").output().unwrap()
    };
    let (first, second) = (output(), output());
    for output in [&first, &second] {
        let id = plan_id(output);
        let process = format!("- process       ok: 1 lines, the last: id is {id}\n");
        assert_report(output, 0, &[&process, &format!("- request       ok: 1 of 1 pages, {} bytes\n", id.len())]);
        assert_eq!(stdout(output).matches(&process).count(), 2, "{output:?}");
    }
    assert_ne!(plan_id(&first), plan_id(&second));
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&two_executors("hard", &json!("hang")), &["--listen", &address]);
    assert!(stderr(&output).starts_with("error: the server: Address already in use"), "{output:?}");
    assert_eq!(stderr(&output).lines().count(), 1, "nothing was started: {output:?}");
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
}

#[test]
fn an_interrupt_cancels_the_plan_and_kills_and_reaps_its_process() {
    let sleep = json!({ "run": { "program": "sh", "args": ["-c", "echo $$ >pid; exec sleep 1000"] } });
    let directory = directory(&two_executors("hard", &sleep));
    let mut running = start(&directory);
    let process = process(directory.path());
    // By then the other executor has ended, and what it said is known.
    let mut told = running.told_until(|told| told.contains("session/page: ok"));
    let output = running.interrupt(&mut told);
    assert_report(
        &output,
        130,
        &[
            "session session: cancelled (hard)",
            "cancelled       an external signal fired, inherited\n  origin          scope `plan` (",
            "left running    0 of 3 tasks, 0 of 1 processes",
            "- page          ok: 1 of 1 pages, 16 bytes",
            "- other         cancelled: an external signal fired in `plan`",
            "plan plan: interrupted\n  last exit       ",
        ],
    );
    assert!(!Path::new("/proc").join(&process).exists(), "process {process} is still there");
}

#[test]
fn a_process_is_killed_when_its_session_fails() {
    // The sibling fails when the process has come to life: it reads what the process writes.
    let wait = "until [ -s pid ]; do :; done; exit 1";
    let executors = json!([
        { "name": "sleeps", "work": { "run": { "program": "sh", "args": ["-c", "echo $$ >pid; exec sleep 1000"] } } },
        { "name": "fails", "work": { "run": { "program": "sh", "args": ["-c", wait] } } },
    ]);
    let directory = directory(&plan(&json!([{ "name": "session", "executors": executors }])));
    let output = governor().current_dir(&directory).args(["--plan", "plan.json"]).output().unwrap();
    assert_report(&output, 1, &["winning error   fails: sh: exit status: 1", "0 of 2 processes"]);
    let process = process(directory.path());
    assert!(!Path::new("/proc").join(&process).exists(), "process {process} is still there");
}

#[test]
fn a_bad_plan_names_line_and_field() {
    for (plan, expected) in [
        (
            "{ \"name\": \"x\",\n\"sessions\": [{ \"name\": \"s\",\n\"limits\": { \"deadline\": \"soon\"\n} }] }",
            "line 3, column 30, field `sessions[0].limits.deadline`: \"soon\" is no duration such as \"1s 500ms\": ",
        ),
        (
            "{ \"name\": \"x\",\n\"limits\": {\n\"policy\": \"firm\" } }",
            "line 3, column 16, field `limits.policy`: unknown variant `firm`, expected `hard` or `soft`",
        ),
        (
            "{ \"name\": \"x\", \"sessions\": [{ \"name\": \"s\", \"executors\": [\n{ \"name\": \"e\" }] }] }",
            "line 2, column 15, field `sessions[0].executors[0]`: missing field `work`",
        ),
        (
            "{ \"name\": \"x\", \"sessions\": [{ \"name\": \"s\", \"executors\": [{ \"name\": \"e\", \"work\":\n\"sleep\" }] }] }",
            "line 2, column 7, field `sessions[0].executors[0].work`: unknown variant `sleep`",
        ),
        (
            "{ \"name\": \"x\",\n\"executors_at_once\": 0, \"sessions\": [] }",
            "line 2, column 22, field `executors_at_once`: invalid value: integer `0`, expected a nonzero usize",
        ),
        ("{ \"name\": \"x\",\n\"colour\": 1 }", "line 2, column 8, field `colour`: unknown field `colour`"),
        ("{ \"name\": \"x\",\n\n}", "line 3, column 1: trailing comma"),
        ("{ \"name\": \"x\", \"sessions\": [] }\n!", "line 2, column 1: trailing characters"),
    ] {
        let output = run(plan, &[]);
        let message = stderr(&output);
        assert!(message.starts_with(&format!("error: bad plan plan.json: {expected}")), "{plan}\n{message}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_missing_plan_names_its_path() {
    let output = governor().args(["--plan", "no/such/plan.json"]).output().unwrap();
    assert!(stderr(&output).starts_with("error: cannot read the plan no/such/plan.json: No such file"), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_cannot_be_started_with_is_a_usage_error_that_names_it() {
    let cases: [(&[&str], &str); 4] = [
        (&["--fail", "pge"], "no executor of the plan is named `pge`; there are: session/page, session/other"),
        (&["--deadline", "30"], "time unit needed"),
        (&["--fial", "page"], "--fial"),
        (&["plan.json"], "plan.json"),
    ];
    for (arguments, expected) in cases {
        let output = run(&two_executors("hard", &json!("hang")), arguments);
        assert!(stderr(&output).contains(expected), "{arguments:?}: {output:?}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_help_names_every_option_and_exit_code() {
    let output = governor().arg("--help").output().unwrap();
    let help = stdout(&output);
    for option in ["--plan", "--deadline", "--fail", "--listen", "--quiet", " 0 ", " 1 ", " 2 ", "124", "130"] {
        assert!(help.contains(option), "{option} is missing in {help}");
    }
    assert_eq!(output.status.code(), Some(0));
}

//! Random programs, run on `sc-tokio` in virtual time and compared with a slow model of what the design says.
//!
//! `SC_MODEL_PROGRAMS` says how many, `SC_MODEL_SEED` which ones. A failure is shrunk, and printed with what was
//! expected, what happened, and the seed that repeats it:
//! `SC_MODEL_SEED=.. cargo test -p sc-tests --test model`.

#![forbid(unsafe_code)]

mod log;
mod model;
mod program;
mod run;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRunner};

use crate::program::Program;

/// How long one program may take on the real clock before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
        Err(_) => default,
    }
}

/// Compares one program. `Ok(None)`: it has ties.
fn compare(program: &Program) -> Result<Option<model::Expected>, String> {
    let Ok(expected) = model::expected(program) else { return Ok(None) };
    let ran = run::run(program);
    let told = |why: String| format!("{why}\nran:\n{}expected:\n{}", ran.log, expected.log);
    ran.log.differs_from(&expected).map_err(told)?;
    if let Some((scope, id)) = ran.outlived.iter().find(|(_, id)| !expected.leaked.contains(id)) {
        return Err(told(format!("scope {scope} has resolved and {id} is alive (P1)")));
    }
    if !ran.alive.keys().eq(&expected.leaked) {
        return Err(told(format!("alive after the end: {:?}, expected: {:?} (P1)", ran.alive, expected.leaked)));
    }
    if !ran.broken.is_empty() {
        return Err(told(ran.broken.join("\n")));
    }
    Ok(Some(expected))
}

#[test]
fn random_programs_do_what_the_model_says() {
    let programs = number("SC_MODEL_PROGRAMS", 10_000);
    let seed = number("SC_MODEL_SEED", 1);
    let config = Config {
        cases: u32::try_from(programs).expect("not that many"),
        max_shrink_iters: 3_000,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    run::listen_to_the_hook();
    let watchdog = Watchdog::start();
    let (coverage, ties) = (RefCell::new(BTreeMap::<String, u64>::new()), RefCell::new(0_u64));
    let result = TestRunner::new(config).run(&program::program(), |program| {
        watchdog.watch(Some(&program));
        let compared = compare(&program);
        watchdog.watch(None);
        match compared {
            Ok(Some(expected)) => {
                for (what, count) in expected.seen {
                    *coverage.borrow_mut().entry(what).or_default() += count;
                }
            }
            Ok(None) => *ties.borrow_mut() += 1,
            Err(why) => return Err(TestCaseError::fail(why)),
        }
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, program)) => {
            panic!("{program:?}\n{why}\nagain with SC_MODEL_SEED={seed} SC_MODEL_PROGRAMS={programs}")
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
    println!("{programs} programs, {} with ties", ties.borrow());
    for (what, count) in &*coverage.borrow() {
        println!("{count:>8} {what}");
    }
    check_coverage(programs, *ties.borrow(), &coverage.borrow());
}

/// A run that asked next to nothing has shown nothing. Per thousand programs, at least half of what is usual.
fn check_coverage(programs: u64, ties: u64, seen: &BTreeMap<String, u64>) {
    assert!(ties * 100 <= programs, "{ties} programs have ties");
    for (what, least) in FLOOR {
        let count = seen.get(*what).copied().unwrap_or_default();
        // A handful of programs, asked for by hand, may miss anything.
        assert!(programs < 1_000 || count >= least * programs / 1_000, "only {count} times: {what}");
    }
}

const FLOOR: &[(&str, u64)] = &[
    ("a cancellation with grace", 230),
    ("a child queued", 30),
    ("a child refused", 20),
    ("a child shielded as a whole", 180),
    ("a child stopped from inside", 90),
    ("a child that was ready failed its scope", 7),
    ("a child's own deadline", 140),
    ("a child's own deadline missed", 110),
    ("a daemon in its turn", 40),
    ("a failure left unread", 90),
    ("a forgotten scope cancelled with its opener", 50),
    ("a handle forgotten", 5),
    ("a join: Cancelled", 8),
    ("a join: Empty", 7),
    ("a join: Failed", 40),
    ("a join: TooFew", 10),
    ("a join: Won", 90),
    ("a lender could not go on without a seat", 4),
    ("a lender lent its seat", 4),
    ("a loser of a join cancelled", 50),
    ("a queued child began", 15),
    ("a queued child that never began", 8),
    ("a reservation came to its turn", 1),
    ("a reservation refused", 1),
    ("a resource acquired", 60),
    ("a resource leaked", 15),
    ("a resource released", 40),
    ("a scope opened in a grace", 20),
    ("a scope's error passed on", 100),
    ("a scope's future dropped", 80),
    ("a scope's future forgotten", 40),
    ("a secondary failure", 5),
    ("a shield held its frame", 20),
    ("a shield kept a cancellation out", 70),
    ("a shield's time over", 40),
    ("a shielded child went on after its stop", 7),
    ("a start answered", 60),
    ("a start answered by a cancellation", 15),
    ("a start answered by a failure", 7),
    ("a start answered by an end without a signal", 10),
    ("a start given up", 30),
    ("a task aborted by its user", 10),
    ("a task's error", 3),
    ("a task's panic", 1),
    ("a task's value", 8),
    ("a value leaked with its handle", 5),
    ("an acquisition cancelled", 2),
    ("an acquisition failed", 20),
    ("awaited a dead child", 15),
    ("awaited a value", 20),
    ("borrowed Borrowed", 70),
    ("borrowed Borrowed isolated", 170),
    ("cancel", 20),
    ("cancel_children", 20),
    ("finalizer: Dropped", 20),
    ("finalizer: Error", 20),
    ("finalizer: Panic", 10),
    ("finalizer: Value", 50),
    ("join: All", 30),
    ("join: FirstOk", 30),
    ("join: ForEach", 15),
    ("join: Map", 15),
    ("join: Quorum(0)", 9),
    ("join: Quorum(1)", 9),
    ("join: Quorum(2)", 8),
    ("join: Quorum(3)", 8),
    ("join: Settle", 30),
    ("joined a cancellation", 4),
    ("joined a failure", 10),
    ("joined a value", 20),
    ("joined what the scope owns", 1),
    ("outcome: cancelled", 240),
    ("outcome: deadline exceeded", 420),
    ("outcome: failed", 300),
    ("outcome: ok", 540),
    ("outcome: partial", 50),
    ("spawned Ambient", 190),
    ("spawned Borrowed", 20),
    ("spawned Borrowed isolated", 6),
    ("spawned Daemon", 100),
    ("spawned Daemon isolated", 20),
    ("spawned Plain", 150),
    ("spawned Plain isolated", 280),
    ("spawned With", 160),
    ("spawned With isolated", 40),
    ("started Borrowed", 20),
    ("started Borrowed isolated", 5),
    ("started Daemon", 20),
    ("started Daemon isolated", 5),
    ("started Plain", 30),
    ("started Plain isolated", 9),
    ("started With", 20),
    ("started With isolated", 8),
    ("stopped and waited for", 6),
];

/// Ends the process, with the program that is run, if that takes too long.
struct Watchdog {
    running: Arc<Mutex<Option<(Instant, Program)>>>,
}

impl Watchdog {
    fn start() -> Self {
        let running = Arc::new(Mutex::new(None::<(Instant, Program)>));
        let watched = Arc::downgrade(&running);
        std::thread::spawn(move || {
            while let Some(running) = watched.upgrade() {
                if let Some((since, program)) = &*running.lock().unwrap_or_else(PoisonError::into_inner) {
                    if since.elapsed() > PATIENCE {
                        eprintln!("this program hangs:{program:?}");
                        std::process::abort();
                    }
                }
                drop(running);
                std::thread::park_timeout(PATIENCE / 10);
            }
        });
        Self { running }
    }

    fn watch(&self, program: Option<&Program>) {
        let running = program.map(|program| (Instant::now(), program.clone()));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }
}

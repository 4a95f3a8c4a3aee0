//! Runs random trees of scopes for a given time, and fails if anything is left of them.
//!
//! The tests look at one behaviour at a time and end within seconds; this looks for what only hours and chance bring:
//! a task that outlives its scope (P1), a scope that does not end, a count that does not come back to zero, memory that
//! grows (P11). See `--help` for how it is called; `report` for what it says.

mod args;
mod children;
mod leaf;
mod random;
mod report;
mod tally;
mod tree;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{park_timeout, spawn};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};

use crate::args::Args;
use crate::random::Random;
use crate::report::Report;
use crate::tally::{Population, TALLY, resident};

/// Trees that run at a time.
const BESIDE: u64 = 16;
/// How long nothing may move.
const HANGS: Duration = Duration::from_secs(60);
const PROGRESS: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(wrong) => {
            eprintln!("sc-soak: {wrong}; see `--help`");
            return ExitCode::from(2);
        }
    };
    if args.help {
        println!("{}", args::HELP);
        return ExitCode::SUCCESS;
    }
    leaf::tell_panics_apart();
    sc_tokio::set_failure_hook(|_failure| {
        TALLY.unhandled.fetch_add(1, Ordering::SeqCst);
    });
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("two threads");
    let watch = Watch::start(runtime.handle().clone());
    let report = runtime.block_on(soak(&args));
    watch.done();
    drop(runtime);
    print!("{}", if args.json { report.json() } else { report.text() });
    let wrong = report.wrong();
    for what in &wrong {
        eprintln!("sc-soak: {what}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn soak(args: &Args) -> Report {
    let (began, outside) = (Instant::now(), Population::default());
    let alive = || Handle::current().metrics().num_alive_tasks();
    let (at_start, tasks) = (resident(), alive());
    let next = Arc::new(AtomicU64::new(0));
    let loops: Vec<_> = (0..BESIDE)
        .map(|_| {
            let (next, outside, end, seed) = (Arc::clone(&next), outside.clone(), began + args.time, args.seed);
            // Tokio's own tasks: each tree is at the top, as a request in a service is.
            tokio::spawn(async move {
                while Instant::now() < end {
                    let tree = next.fetch_add(1, Ordering::SeqCst);
                    tree::run(Random::new(seed ^ tree.rotate_left(32)).next(), &outside).await;
                    TALLY.trees.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    tokio::time::sleep(args.time / 2).await;
    let at_middle = resident();
    let mut broken = 0;
    for trees in loops {
        broken += u64::from(trees.await.is_err());
    }
    // What the root owns may take a moment more, and no longer.
    let patience = Instant::now() + HANGS / 2;
    while (TALLY.live() > 0 || alive() > tasks || !sc_tokio::root().is_empty()) && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Report {
        seed: args.seed,
        took: began.elapsed(),
        memory: [at_start, at_middle, resident()],
        tasks_left: alive().saturating_sub(tasks),
        root_left: sc_tokio::root().len(),
        broken,
    }
}

/// Says how far the run is, and ends it when nothing moves.
struct Watch(Arc<AtomicBool>, std::thread::JoinHandle<()>);

impl Watch {
    fn start(runtime: Handle) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&done);
        let thread = spawn(move || {
            let began = Instant::now();
            let (mut seen, mut moved, mut told) = ((0, 0), began, began);
            while !ended.load(Ordering::SeqCst) {
                let asleep = Instant::now();
                park_timeout(SECOND / 10);
                TALLY.stalled(asleep.elapsed().saturating_sub(SECOND / 10));
                let now = (TALLY.trees.load(Ordering::SeqCst), TALLY.ended());
                if now != seen {
                    (seen, moved) = (now, Instant::now());
                }
                if told.elapsed() >= PROGRESS {
                    told = Instant::now();
                    eprintln!("{}", report::progress(began.elapsed()));
                }
                if moved.elapsed() >= HANGS {
                    let _inside = runtime.enter();
                    eprintln!("sc-soak: nothing has moved for {HANGS:?}; what there is:\n{}", sc_tokio::tree());
                    std::process::exit(1);
                }
            }
        });
        Self(done, thread)
    }

    fn done(self) {
        self.0.store(true, Ordering::SeqCst);
        self.1.thread().unpark();
        self.1.join().expect("the watch does not panic");
    }
}

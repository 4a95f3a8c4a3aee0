//! The harness: contestants take turns, round by round, and what counts is their ratio within a
//! round.
//!
//! A shared machine is slow for seconds at a time. All contestants of one round see the same
//! machine, so the ratio survives what the times do not; the order rotates, so that nobody always
//! runs after the same neighbour.

use std::pin::Pin;
use std::time::{Duration, Instant};

use sc_bench::{Row, Spread, Unit};
use tokio::runtime::{Builder, Runtime};

/// Rounds at the beginning that do not count: caches, page faults, the allocator's arenas.
const WARM_UP: usize = 2;
/// However long they take.
const FEWEST: usize = 7;
const MOST: usize = 400;

/// Which runtime a contest takes place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    CurrentThread,
    MultiThread,
}

impl Flavour {
    pub(crate) const BOTH: [Self; 2] = [Self::CurrentThread, Self::MultiThread];

    fn name(self) -> &'static str {
        match self {
            Self::CurrentThread => "current_thread",
            Self::MultiThread => "multi_thread, 2",
        }
    }

    fn build(self) -> Runtime {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::MultiThread => Builder::new_multi_thread(),
        };
        let builder = builder.enable_time();
        if self == Self::MultiThread {
            builder.worker_threads(2);
        }
        builder.build().expect("the system grants two threads")
    }
}

/// One sample: the time of what is measured, without its set-up.
pub(crate) type Sample = Pin<Box<dyn Future<Output = Duration> + Send>>;

/// One of those who are compared.
pub(crate) struct Contestant {
    name: &'static str,
    run: Box<dyn Fn() -> Sample>,
}

impl Contestant {
    pub(crate) fn new<F>(name: &'static str, run: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = Duration> + Send + 'static,
    {
        Self { name, run: Box::new(move || Box::pin(run())) }
    }

    /// Repeats an operation, so that a sample is long against the clock's resolution.
    pub(crate) fn repeated<F>(name: &'static str, times: u32, operation: impl Fn() -> F + Send + Copy + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::new(name, move || async move {
            let started = Instant::now();
            for _ in 0..times {
                operation().await;
            }
            started.elapsed()
        })
    }
}

/// Which ratio is asked for, by index into the contestants.
pub(crate) struct Pair {
    pub(crate) ours: usize,
    pub(crate) peer: usize,
    pub(crate) target: Option<f64>,
}

/// Contestants on one runtime.
pub(crate) struct Contest {
    pub(crate) name: String,
    pub(crate) flavour: Flavour,
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) pairs: Vec<Pair>,
    /// How many operations one sample is.
    pub(crate) operations: u32,
}

impl Contest {
    pub(crate) fn run(&self, budget: Duration) -> Vec<Row> {
        let runtime = self.flavour.build();
        for contestant in self.contestants.iter().cycle().take(WARM_UP * self.contestants.len()) {
            self.sample(&runtime, contestant);
        }
        let started = Instant::now();
        let mut rounds: Vec<Vec<f64>> = Vec::new();
        while rounds.len() < FEWEST || (started.elapsed() < budget && rounds.len() < MOST) {
            rounds.push(self.round(&runtime, rounds.len()));
        }
        self.pairs.iter().map(|pair| self.row(pair, &rounds)).collect()
    }

    /// Every contestant once, beginning with another one each time.
    fn round(&self, runtime: &Runtime, number: usize) -> Vec<f64> {
        let count = self.contestants.len();
        let mut seconds = vec![0.0; count];
        for turn in 0..count {
            let index = (turn + number) % count;
            seconds[index] = self.sample(runtime, &self.contestants[index]).as_secs_f64();
        }
        seconds
    }

    fn sample(&self, runtime: &Runtime, contestant: &Contestant) -> Duration {
        let sample = (contestant.run)();
        match self.flavour {
            Flavour::CurrentThread => runtime.block_on(sample),
            // As a task of the runtime: what `block_on` itself runs is no worker, and would spawn
            // through the queue for strangers.
            Flavour::MultiThread => {
                let task = runtime.spawn(sample);
                runtime.block_on(task).expect("samples neither panic nor are cancelled")
            }
        }
    }

    fn row(&self, pair: &Pair, rounds: &[Vec<f64>]) -> Row {
        let ratios = rounds.iter().map(|round| round[pair.ours] / round[pair.peer]).collect();
        let peer = Spread::of(rounds.iter().map(|round| round[pair.peer]).collect());
        Row {
            what: format!("{}: {}", self.name, self.contestants[pair.ours].name),
            against: self.contestants[pair.peer].name.to_owned(),
            runtime: self.flavour.name().to_owned(),
            target: pair.target,
            measured: Spread::of(ratios),
            unit: Unit::Ratio,
            rounds: rounds.len(),
            peer_nanos: Some(peer.median * 1e9 / f64::from(self.operations)),
        }
    }
}

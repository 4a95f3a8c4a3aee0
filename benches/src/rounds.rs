//! The harness: contestants take turns, round by round, and what counts is their ratio within a
//! round.
//!
//! A shared machine is slow for seconds at a time. All contestants of one round see the same
//! machine, so the ratio survives what the times do not; the order rotates, so that nobody always
//! runs after the same neighbour.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::{Duration, Instant};

use sc_bench::clock::Stopwatch;
use sc_bench::report::heading;
use sc_bench::subjects::Threads;
use sc_bench::{Note, Row, Spread, Unit};
use tokio::runtime::{Builder, Runtime};

/// Rounds at the beginning that do not count: caches, page faults, the allocator's arenas.
const WARM_UP: usize = 2;
/// As many rounds as there is time for, within these.
const MOST: usize = 400;
const FEWEST: usize = 5;
/// Rounds that take very long, for this many times the budget.
const FEWEST_LONG: usize = 3;
const PATIENCE: u32 = 10;

/// How long and how large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) full: bool,
    /// Time for one contest.
    pub(crate) budget: Duration,
}

impl Plan {
    pub(crate) const QUICK: Self = Self { full: false, budget: Duration::from_millis(600) };
    pub(crate) const FULL: Self = Self { full: true, budget: Duration::from_secs(6) };
}

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
            Self::MultiThread => "multi_thread",
        }
    }

    pub(crate) fn threads(self) -> Threads {
        match self {
            Self::CurrentThread => Threads::One,
            Self::MultiThread => Threads::Several,
        }
    }

    pub(crate) fn build(self) -> Runtime {
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
            let started = Stopwatch::start();
            for _ in 0..times {
                operation().await;
            }
            started.elapsed()
        })
    }
}

/// Contestants on one runtime, doing the same.
pub(crate) struct Contest {
    measure: &'static str,
    kind: String,
    n: Option<u64>,
    flavour: Flavour,
    /// How many operations one sample is.
    operations: f64,
    ours: Vec<Contestant>,
    peers: Vec<Contestant>,
    /// Of ours against a peer, by name: what to compare beyond the usual, and at most how much it shall be.
    asked: Vec<(&'static str, &'static str, Option<f64>)>,
    notes: Vec<Note>,
}

impl Contest {
    pub(crate) fn new(measure: &'static str, flavour: Flavour, operations: u32) -> Self {
        Self {
            measure,
            kind: String::new(),
            n: None,
            flavour,
            operations: f64::from(operations),
            ours: Vec::new(),
            peers: Vec::new(),
            asked: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn kind(mut self, kind: &str) -> Self {
        kind.clone_into(&mut self.kind);
        self
    }

    pub(crate) fn n(mut self, n: u32) -> Self {
        self.n = Some(n.into());
        self
    }

    /// One of ours. The first is compared with every peer, the others with the first peer and where it is asked for.
    pub(crate) fn ours(mut self, contestant: Contestant) -> Self {
        self.ours.push(contestant);
        self
    }

    /// One of the others. The first is the plain thing: what one would write without any structure.
    pub(crate) fn peer(mut self, contestant: Contestant) -> Self {
        self.peers.push(contestant);
        self
    }

    /// One that may have to be left out, for a reason.
    pub(crate) fn peer_unless(mut self, reason: Option<&str>, contestant: Contestant) -> Self {
        match reason {
            None => self.peer(contestant),
            Some(reason) => {
                let text = format!("{}: {reason}", self.heading());
                self.notes.push(Note { about: contestant.name.to_owned(), text });
                self
            }
        }
    }

    pub(crate) fn target(mut self, ours: &'static str, peer: &'static str, at_most: f64) -> Self {
        self.asked.push((ours, peer, Some(at_most)));
        self
    }

    pub(crate) fn compare(mut self, ours: &'static str, peer: &'static str) -> Self {
        self.asked.push((ours, peer, None));
        self
    }

    pub(crate) fn heading(&self) -> String {
        heading(self.measure, &self.kind, self.n, self.flavour.name())
    }

    /// Without the peers that are not asked for.
    pub(crate) fn against(mut self, name: Option<&str>) -> Self {
        if let Some(name) = name {
            let mut first = true;
            self.peers.retain(|peer| std::mem::take(&mut first) || peer.name.to_lowercase().contains(name));
        }
        self
    }

    pub(crate) fn run(mut self, plan: Plan) -> (Vec<Row>, Vec<Note>) {
        let runtime = self.flavour.build();
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.warm_up(&runtime));
        let started = Instant::now();
        let mut rounds: Vec<Vec<f64>> = Vec::new();
        let more = |rounds: usize| match started.elapsed() {
            spent if spent < plan.budget => rounds < MOST,
            spent if spent < plan.budget * PATIENCE => rounds < FEWEST,
            _ => rounds < FEWEST_LONG,
        };
        while more(rounds.len()) {
            rounds.push(self.round(&runtime, rounds.len()));
        }
        (self.rows(&rounds), notes)
    }

    /// Also finds out who cannot do it: a peer that panics is left out, and said to be.
    fn warm_up(&mut self, runtime: &Runtime) -> Vec<Note> {
        let (flavour, heading) = (self.flavour, self.heading());
        let mut notes = Vec::new();
        let mut able = |contestant: &Contestant| match sample(runtime, flavour, contestant) {
            Ok(_) => true,
            Err(wrong) => {
                notes.push(Note { about: contestant.name.to_owned(), text: format!("{heading}: {wrong}") });
                false
            }
        };
        let started = Instant::now();
        for _ in 0..WARM_UP {
            self.ours.retain(&mut able);
            self.peers.retain(&mut able);
            // What takes that long warms itself.
            if started.elapsed() > Duration::from_secs(1) {
                break;
            }
        }
        notes
    }

    /// Every contestant once, beginning with another one each time.
    fn round(&self, runtime: &Runtime, number: usize) -> Vec<f64> {
        let contestants: Vec<_> = self.ours.iter().chain(&self.peers).collect();
        let count = contestants.len();
        let mut seconds = vec![0.0; count];
        for turn in 0..count {
            let index = (turn + number) % count;
            let taken = sample(runtime, self.flavour, contestants[index]);
            seconds[index] = taken.expect("it was able to at the beginning").as_secs_f64();
        }
        seconds
    }

    fn rows(&self, rounds: &[Vec<f64>]) -> Vec<Row> {
        let mut rows = Vec::new();
        for (mine, ours) in self.ours.iter().enumerate() {
            for (place, peer) in self.peers.iter().enumerate() {
                let asked = self.asked.iter().find(|(a, b, _)| (*a, *b) == (ours.name, peer.name));
                if mine == 0 || place == 0 || asked.is_some() {
                    let target = asked.and_then(|(.., at_most)| *at_most);
                    rows.push(self.row((mine, ours), (self.ours.len() + place, peer), target, rounds));
                }
            }
        }
        rows
    }

    fn row(
        &self,
        (mine, ours): (usize, &Contestant),
        (theirs, peer): (usize, &Contestant),
        target: Option<f64>,
        rounds: &[Vec<f64>],
    ) -> Row {
        let ratios = rounds.iter().map(|round| round[mine] / round[theirs]).collect();
        let nanos = |index: usize| {
            let seconds = Spread::of(rounds.iter().map(|round| round[index]).collect());
            Some(seconds.scaled(1e9 / self.operations))
        };
        Row {
            measure: self.measure.to_owned(),
            kind: self.kind.clone(),
            n: self.n,
            runtime: self.flavour.name().to_owned(),
            ours: ours.name.to_owned(),
            against: peer.name.to_owned(),
            target,
            measured: Spread::of(ratios),
            unit: Unit::Ratio,
            rounds: rounds.len(),
            nanos: nanos(mine),
            peer_nanos: nanos(theirs),
        }
    }
}

fn sample(runtime: &Runtime, flavour: Flavour, contestant: &Contestant) -> Result<Duration, String> {
    let run = || {
        let sample = (contestant.run)();
        match flavour {
            Flavour::CurrentThread => runtime.block_on(sample),
            // As a task of the runtime: what `block_on` itself runs is no worker, and would spawn
            // through the queue for strangers.
            Flavour::MultiThread => {
                let task = runtime.spawn(sample);
                runtime.block_on(task).expect("a sample is not cancelled")
            }
        }
    };
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| "panicked, and is left out".to_owned())
}

//! Running a model under both schedulers, and counting what came out.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use sc_tokio::{Canceller, explored};
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler, UncontrolledNondeterminismCheckScheduler};
use shuttle::{Config, MaxSteps, Runner};

/// Schedules per scheduler and test, unless the test says otherwise.
const SCHEDULES: usize = 1_000;
const SEED: u64 = 0x5c0_93ed;
/// How often the priority scheduler changes priorities within a schedule.
const PRIORITY_CHANGES: usize = 3;
/// One more than the most that [`a_few`] is.
const FEW: usize = 5;

/// What the schedules of a test have in common. Outside the model: its own accesses are no
/// scheduling points.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    outcomes: Mutex<BTreeMap<&'static str, usize>>,
}

impl Seen {
    /// The race ended this way.
    pub(crate) fn saw(&self, outcome: &'static str) {
        *self.outcomes.lock().unwrap().entry(outcome).or_default() += 1;
    }
}

/// Explores `model` and asserts that every one of `outcomes` was seen, and no other.
pub(crate) fn explore(outcomes: &[&'static str], model: impl Fn(&Seen) + Send + Sync + 'static) {
    explore_more(1, outcomes, model);
}

/// As [`explore`], with so many times the usual schedules: for what is rare.
pub(crate) fn explore_more(times: usize, outcomes: &[&'static str], model: impl Fn(&Seen) + Send + Sync + 'static) {
    let schedules = schedules() * times;
    let seen = Arc::new(Seen::default());
    let model = Arc::new(model);
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    let run = |scheduler: &str, result: std::thread::Result<usize>| match result {
        Ok(schedules) => schedules,
        Err(panic) => {
            eprintln!("{test}: failed under the {scheduler} scheduler");
            std::panic::resume_unwind(panic)
        }
    };
    let random = run("random", schedule(RandomScheduler::new_from_seed(seed(), schedules), &model, &seen));
    let pct = PctScheduler::new_from_seed(seed(), PRIORITY_CHANGES, schedules);
    let pct = run("priority", schedule(pct, &model, &seen));
    assert!(random > 0 && pct > 0, "a check that ran nothing fails");
    let seen = seen.outcomes.lock().unwrap();
    println!("{test}: {random} random and {pct} priority schedules: {seen:?}");
    for outcome in outcomes {
        assert!(seen.contains_key(outcome), "no schedule ended in {outcome:?}: the race was not run");
    }
    for outcome in seen.keys() {
        assert!(outcomes.contains(outcome), "{outcome:?} was not expected");
    }
}

/// Explores `model`, with a mistake planted, until a schedule fails; gives what failed.
pub(crate) fn find_failure(model: impl Fn(&Seen) + Send + Sync + 'static) -> Option<String> {
    let (seen, model) = (Arc::default(), Arc::new(model));
    let random = schedule(RandomScheduler::new_from_seed(seed(), schedules()), &model, &seen);
    let pct = || schedule(PctScheduler::new_from_seed(seed(), PRIORITY_CHANGES, schedules()), &model, &seen);
    let payload = random.and_then(|_| pct()).err()?;
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    Some(text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default())
}

/// Runs each schedule of `model` twice, and fails if the explorer does not decide all of it.
pub(crate) fn replay_each(model: impl Fn(&Seen) + Send + Sync + 'static) {
    let random = RandomScheduler::new_from_seed(seed(), schedules() / 10);
    let twice = schedule(UncontrolledNondeterminismCheckScheduler::new(random), &Arc::new(model), &Arc::default());
    match twice {
        Ok(schedules) => assert!(schedules > 0, "a check that ran nothing fails"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn schedule<S, F>(scheduler: S, model: &Arc<F>, seen: &Arc<Seen>) -> std::thread::Result<usize>
where
    S: Scheduler + 'static,
    F: Fn(&Seen) + Send + Sync + 'static,
{
    let mut config = Config::new();
    config.stack_size = 0x10_0000;
    // A schedule that needs more steps than this is a livelock.
    config.max_steps = MaxSteps::FailAfter(100_000);
    // The module's documentation says what they would: orderings are not explored.
    config.silence_warnings = true;
    let (model, seen) = (Arc::clone(model), Arc::clone(seen));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Runner::new(scheduler, config).run(move || {
            explored::begin();
            model(&seen);
        })
    }))
}

fn schedules() -> usize {
    std::env::var("SC_SHUTTLE_SCHEDULES").map_or(SCHEDULES, |text| text.parse().expect("a number of schedules"))
}

fn seed() -> u64 {
    std::env::var("SC_SHUTTLE_SEED").map_or(SEED, |text| text.parse().expect("a number as seed"))
}

/// Runs a future as the model's main task.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    shuttle::future::block_on(future)
}

/// Starts a task that belongs to no scope.
pub(crate) fn outside<F>(future: F) -> shuttle_tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    shuttle_tokio::spawn(future)
}

/// Cancels a scope some time, from outside of it.
pub(crate) fn cancel_some_time(stop: Canceller) -> shuttle_tokio::task::JoinHandle<()> {
    outside(async move {
        linger().await;
        stop.cancel("enough");
    })
}

/// Lets others run, as an await that is not ready at once does.
pub(crate) async fn pause() {
    shuttle_tokio::task::yield_now().await;
}

/// Lets others run a few times, as often as the explorer chooses: it gives a rival that is started late a
/// chance against one that is started early.
pub(crate) async fn linger() {
    for _ in 0..a_few() {
        pause().await;
    }
}

/// A small number that the explorer chooses.
pub(crate) fn a_few() -> usize {
    shuttle::rand::thread_rng().gen_range(0..FEW)
}

/// Something happened in this schedule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flag(Arc<AtomicBool>);

impl Flag {
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn lower(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How many values are alive in this schedule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live(Arc<AtomicUsize>);

impl Live {
    /// One more, until it is dropped.
    pub(crate) fn value(&self) -> Alive {
        self.0.fetch_add(1, Ordering::SeqCst);
        Alive(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A value that is counted as long as it is alive, and whose destructor takes its time.
#[derive(Debug)]
pub(crate) struct Alive(Live);

impl Drop for Alive {
    fn drop(&mut self) {
        // Whoever should have waited for this destructor may run now.
        sc_tokio::explored::preempt();
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Polls `future` until `until` resolves, which is looked at second; then drops it.
pub(crate) async fn poll_until<F: Future>(future: F, until: impl Future) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut until = pin!(until);
    let both = std::future::poll_fn(move |cx: &mut Context<'_>| {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        until.as_mut().poll(cx).map(|_| None)
    });
    both.await
}

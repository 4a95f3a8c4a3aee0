//! What a task does that opens no scope of its own.

use std::future::pending;
use std::sync::atomic::Ordering;

use sc_tokio::{BlockingCx, Cancelled, checkpoint, shield};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::random::Random;
use crate::tally::{Alive, Population, TALLY};

/// The error of the trees.
#[derive(Debug)]
pub(crate) enum Stop {
    Cancelled,
    /// A leaf's own failure.
    Failed,
}

impl From<Cancelled> for Stop {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// The payload of the panics that are meant.
struct Meant;

/// Unwinds as a bug would, but without a word on standard error.
pub(crate) fn panic() -> ! {
    std::panic::panic_any(Meant)
}

/// Silences the panics that are meant, and counts the others.
pub(crate) fn tell_panics_apart() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<Meant>().is_none() {
            TALLY.unexpected.fetch_add(1, Ordering::SeqCst);
            told(info);
        }
    }));
}

/// Somebody's place in a tree: dice, who is counted, what is allowed there.
pub(crate) struct At {
    pub(crate) random: Random,
    pub(crate) population: Population,
    /// How many levels of scopes may be below.
    pub(crate) depth: u64,
    /// Nothing below takes its time after a cancellation: no grace, shield, finalizer, blocking code.
    pub(crate) prompt: bool,
    /// Nobody is there who would stop it: it has to end by itself.
    pub(crate) ends: bool,
}

impl At {
    /// A place beside this one.
    pub(crate) fn split(&mut self) -> Self {
        Self { random: self.random.split(), population: self.population.clone(), ..*self }
    }

    /// A place one level down.
    pub(crate) fn below(&mut self) -> Self {
        Self { depth: self.depth.saturating_sub(1), ..self.split() }
    }

    /// A place whose owner is the root, where it belongs to no tree.
    pub(crate) fn outside(&mut self, outside: &Population) -> Self {
        Self { population: outside.clone(), ends: true, ..self.split() }
    }
}

/// Made before it is spawned, so that it is counted whether it runs or not.
pub(crate) fn leaf(mut at: At) -> impl Future<Output = Result<u64, Stop>> + Send + 'static {
    let alive = at.population.one();
    async move {
        let _alive = alive;
        work(&mut at).await
    }
}

async fn work(at: &mut At) -> Result<u64, Stop> {
    let n = at.random.below(1_000);
    match at.random.below(40) {
        0..12 => {}
        12..20 => {
            for _ in 0..at.random.below(8) {
                yield_now().await;
            }
        }
        20..26 => sleep(at.random.micros(2_000)).await,
        26..28 if !at.ends => pending().await,
        28..30 if !at.ends => loop {
            checkpoint().await?;
        },
        30..32 if !at.prompt => {
            let through = shield(at.random.micros(2_000), sleep(at.random.micros(2_000))).await;
            through?;
        }
        32 => return Err(Stop::Failed),
        33 => panic(),
        34 => {
            sleep(at.random.micros(1_000)).await;
            return Err(Stop::Failed);
        }
        // Its output outlives it, if its handle is dropped early.
        _ => drop(vec![n; 16]),
    }
    Ok(n)
}

/// The same for a blocking thread, which spins a little and listens now and then.
pub(crate) fn blocking(mut at: At) -> impl FnOnce(&BlockingCx) -> Result<u64, Stop> + Send + 'static {
    let alive = at.population.one();
    move |cx| {
        let _alive: Alive = alive;
        for _ in 0..at.random.below(20) {
            cx.check()?;
            std::thread::yield_now();
        }
        if at.random.once_in(50) {
            panic();
        }
        Ok(at.random.below(1_000))
    }
}

//! A random scope: its settings, its body, its end.

use std::future::pending;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use sc_tokio::{Canceller, Child, Nursery, Supervise, nursery};
use tokio::time::sleep;

use crate::children;
use crate::leaf::{At, Stop, panic};
use crate::random::Random;
use crate::tally::{Open, Population, TALLY};

type Tree = Pin<Box<dyn Future<Output = Result<u64, Stop>> + Send>>;

/// Levels of scopes in a tree.
const DEPTH: u64 = 4;
/// No tree takes longer: what has no end of its own is cut.
const AT_MOST: Duration = Duration::from_millis(60);

/// Runs a tree inside a scope that only waits, and looks whether everything has ended when that says so (P1, P3).
pub(crate) async fn run(seed: u64, outside: &Population) {
    let mut random = Random::new(seed);
    let (population, prompt) = (Population::default(), random.once_in(2));
    let at = At { random: random.split(), population: population.clone(), depth: DEPTH, prompt, ends: false };
    let (inner, patience) = (scope(at, outside.clone()), random.micros(3_000));
    let dropped = random.once_in(4);
    let outcome = nursery!(<Supervise> async |_n| -> Result<(), Stop> {
        if dropped {
            // Tokio's time-out drops the future, half-way or before it began.
            let _ = tokio::time::timeout(patience, inner).await;
        } else {
            let _ = sc_tokio::timeout(AT_MOST, inner).await;
        }
        Ok(())
    })
    .outcome()
    .await;
    TALLY.outcome(&outcome, false);
    if population.count() > 0 {
        TALLY.early.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        eprintln!("sc-soak: tree {seed:#x} said that it had ended while {} of it lived", population.count());
    }
}

/// One scope of a tree, with everything below it.
pub(crate) fn scope(mut at: At, outside: Population) -> Tree {
    let alive = at.population.one();
    Box::pin(async move {
        let _alive = alive;
        let open = Open::new();
        let (mut settings, prompt, lent) = (at.random.split(), at.prompt, [7_u8; 64]);
        let mut builder = nursery!(async |n| -> Result<u64, Stop> { body(n, at, &outside, &lent).await });
        if settings.once_in(3) {
            builder = builder.timeout(settings.micros(5_000));
        }
        if settings.once_in(4) {
            builder = builder.policy(Supervise);
        }
        if settings.once_in(5) {
            builder = builder.limit(usize::from(lent[0]) - 4);
        }
        if settings.once_in(8) {
            builder = builder.cancel_on(sleep(settings.micros(4_000)));
        }
        if !prompt && settings.once_in(3) {
            builder = builder.grace(settings.micros(2_000));
        }
        let outcome = builder.named("soaked").outcome().await;
        open.closed();
        TALLY.outcome(&outcome, prompt);
        outcome.into_result()
    })
}

async fn body<'env>(
    n: &Nursery<'env, Stop>,
    mut at: At,
    outside: &Population,
    lent: &'env [u8; 64],
) -> Result<u64, Stop> {
    let mut kept = Vec::new();
    if at.random.once_in(6) {
        cancel_from_outside(n.canceller());
    }
    for _ in 0..at.random.below(7) {
        if at.random.once_in(2) {
            children::ordinary(n, &mut at, outside, lent, &mut kept);
        } else {
            children::special(n, &mut at, outside, &mut kept).await?;
        }
    }
    let sum = settle(kept, &mut at).await;
    match at.random.below(24) {
        0 => n.cancel("enough"),
        1 => n.cancel_children("enough of these"),
        2 => return Err(Stop::Failed),
        3 => panic(),
        4 => {
            n.cancel("enough, and the body goes with it");
            pending::<()>().await;
        }
        5 => pending::<()>().await,
        6 => {
            let _ = n.set_deadline(tokio::time::Instant::now() + at.random.micros(1_000));
            pending::<()>().await;
        }
        _ => {}
    }
    Ok(sum)
}

/// Everything that one can do with a handle.
async fn settle(kept: Vec<Child<'_, u64, Stop>>, at: &mut At) -> u64 {
    let mut sum = 0;
    for child in kept {
        match at.random.below(8) {
            0..3 => sum += child.await,
            3 | 4 => sum += child.join().await.unwrap_or(0),
            5 => drop(child.cancel()),
            6 => child.cancel().await,
            _ => drop(child),
        }
    }
    sum
}

/// A thread that is none of the runtime's presses stop buttons.
fn cancel_from_outside(canceller: Canceller) {
    static BUTTONS: OnceLock<Sender<Canceller>> = OnceLock::new();
    let buttons = BUTTONS.get_or_init(|| {
        let (buttons, pressed) = channel::<Canceller>();
        std::thread::spawn(move || pressed.iter().for_each(|canceller| canceller.cancel("from outside")));
        buttons
    });
    let _ = buttons.send(canceller);
}

//! What running code asks: a child of a nursery with a deadline asks ten thousand times. On the current thread only, since
//! nothing here involves another one.
//!
//! The peers answer from what the caller would have to carry along: a token, an instant, a handle.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sc_bench::clock::Stopwatch;
use sc_tokio::{Cancelled, nursery};
use tokio_util::sync::CancellationToken;

use crate::rounds::{Contest, Contestant, Flavour, Plan};

const TIMES: u32 = 10_000;
const LONG: Duration = Duration::from_secs(3_600);

pub(super) fn contests(_plan: Plan) -> Vec<Contest> {
    let contest = |name| Contest::new(name, Flavour::CurrentThread, TIMES);
    vec![
        contest("checkpoint")
            .ours(Contestant::new("sc_tokio::checkpoint", || child(checkpoint)))
            .peer(Contestant::new("consume_budget, CancellationToken::is_cancelled", || with_token(budget)))
            .peer(Contestant::new("tokio::task::consume_budget", || with_token(budget_only))),
        contest("is_cancelled")
            .ours(Contestant::new("sc_tokio::is_cancelled", || child(is_cancelled)))
            .peer(Contestant::new("CancellationToken::is_cancelled", || with_token(token))),
        contest("remaining")
            .ours(Contestant::new("sc_tokio::remaining", || child(remaining)))
            .peer(Contestant::new("Instant::now and a subtraction", || with_token(subtraction))),
        contest("current")
            .ours(Contestant::new("sc_tokio::current", || child(current)))
            .peer(Contestant::new("tokio::runtime::Handle::current", || with_token(handle))),
    ]
}

/// Asks in a child of a nursery.
async fn child<F, Fut>(questions: F) -> Duration
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let end = nursery!(async |n| -> Result<Duration, Cancelled> {
        let child = n.spawn(async move {
            let started = Stopwatch::start();
            questions().await;
            Ok(started.elapsed())
        });
        Ok(child.await)
    });
    end.timeout(LONG).await.expect("nobody cancels")
}

/// Asks in a task.
async fn with_token<F, Fut>(questions: F) -> Duration
where
    F: FnOnce(CancellationToken) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let token = CancellationToken::new();
    let asked = token.child_token();
    let task = tokio::spawn(async move {
        let started = Stopwatch::start();
        questions(asked).await;
        started.elapsed()
    });
    let elapsed = task.await.expect("no task panics");
    drop(token);
    elapsed
}

async fn checkpoint() {
    for _ in 0..TIMES {
        sc_tokio::checkpoint().await.expect("nobody cancels");
    }
}

async fn budget(token: CancellationToken) {
    for _ in 0..TIMES {
        tokio::task::consume_budget().await;
        assert!(!black_box(&token).is_cancelled());
    }
}

async fn budget_only(_token: CancellationToken) {
    for _ in 0..TIMES {
        tokio::task::consume_budget().await;
    }
}

#[allow(clippy::unused_async, reason = "the other questions are asked in a future, too")]
async fn is_cancelled() {
    for _ in 0..TIMES {
        assert!(!black_box(sc_tokio::is_cancelled()));
    }
}

#[allow(clippy::unused_async, reason = "the other questions are asked in a future, too")]
async fn token(token: CancellationToken) {
    for _ in 0..TIMES {
        assert!(!black_box(&token).is_cancelled());
    }
}

#[allow(clippy::unused_async, reason = "the other questions are asked in a future, too")]
async fn remaining() {
    for _ in 0..TIMES {
        black_box(sc_tokio::remaining());
    }
}

#[allow(clippy::unused_async, reason = "the other questions are asked in a future, too")]
async fn subtraction(_token: CancellationToken) {
    let deadline = Instant::now() + LONG;
    for _ in 0..TIMES {
        black_box(black_box(deadline).saturating_duration_since(Instant::now()));
    }
}

#[allow(clippy::unused_async, reason = "the other questions are asked in a future, too")]
async fn current() {
    for _ in 0..TIMES {
        black_box(sc_tokio::current());
    }
}

#[allow(clippy::unused_async, reason = "the other questions are asked in a future, too")]
async fn handle(_token: CancellationToken) {
    for _ in 0..TIMES {
        black_box(tokio::runtime::Handle::current());
    }
}

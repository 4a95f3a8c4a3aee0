//! Every option.

use std::future::pending;
use std::sync::Mutex;
use std::time::Duration;

use sc_tokio::{Cancelled, Reason, Supervise, scoped};
use tokio::time::Instant;

use crate::support::{Log, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

#[scoped(|n|, policy = Supervise)]
async fn supervised() -> Result<&'static str, Cancelled> {
    n.spawn(async { panic!("under `Supervise` nobody is taken down") });
    Ok(n.spawn(async { Ok("goes on") }).await)
}

#[test]
fn policy() {
    both_flavours(|| async { assert_eq!(supervised().await.unwrap(), "goes on") });
}

struct Client {
    patience: Duration,
    locked: Mutex<Duration>,
}

impl Client {
    #[scoped(timeout = self.patience)]
    async fn asks(&self) -> Result<(), Cancelled> {
        pending().await
    }

    /// The value is read before the scope, so nothing of it is held over an await.
    #[scoped(timeout = *self.locked.lock().unwrap())]
    async fn asks_what_is_locked(&self) -> Result<(), Cancelled> {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn timeout_is_any_expression_over_the_arguments() {
    let client = Client { patience: 2 * SECOND, locked: Mutex::new(3 * SECOND) };
    let begun = Instant::now();
    assert!(client.asks().await.unwrap_err().is_deadline());
    assert_eq!(begun.elapsed(), 2 * SECOND);
    let task = tokio::spawn(async move { client.asks_what_is_locked().await });
    assert!(task.await.unwrap().unwrap_err().is_deadline());
    assert_eq!(begun.elapsed(), 5 * SECOND);
}

#[scoped(deadline = at, timeout = 2 * SECOND)]
async fn until(at: Instant) -> Result<(), Cancelled> {
    pending().await
}

#[tokio::test(start_paused = true)]
async fn of_deadline_and_timeout_the_earlier_counts() {
    let begun = Instant::now();
    assert!(until(begun + SECOND).await.unwrap_err().is_deadline());
    assert_eq!(begun.elapsed(), SECOND);
    assert!(until(begun + 9 * SECOND).await.unwrap_err().is_deadline());
    assert_eq!(begun.elapsed(), 3 * SECOND);
}

#[scoped(|n|, grace = SECOND)]
async fn tidies_up(log: Log) -> Result<(), Cancelled> {
    n.spawn_with(async move |n: &sc_tokio::Scope<Cancelled>| {
        n.cancelled().await;
        tokio::time::sleep(SECOND / 2).await;
        log.add("tidied up");
    });
    tokio::task::yield_now().await;
    n.cancel("stop");
    pending().await
}

#[tokio::test(start_paused = true)]
async fn grace() {
    let log = Log::new();
    assert_eq!(tidies_up(log.clone()).await.unwrap_err().reason(), Reason::Requested);
    assert_eq!(log.entries(), ["tidied up"]);
}

#[scoped(|n|)]
async fn named_after_the_function() -> Result<Option<String>, Cancelled> {
    Ok(n.name().map(str::to_owned))
}

#[scoped(|n|, name = format!("page {page}"))]
async fn named(page: u32) -> Result<Option<String>, Cancelled> {
    Ok(n.name().map(str::to_owned))
}

#[test]
fn name_is_any_expression_and_else_the_functions_own() {
    both_flavours(|| async {
        assert_eq!(named_after_the_function().await.unwrap().as_deref(), Some("named_after_the_function"));
        assert_eq!(named(7).await.unwrap().as_deref(), Some("page 7"));
    });
}

#[scoped(|n|, map_cancelled = |_| std::fmt::Error)]
async fn mapped_by_a_closure() -> Result<(), std::fmt::Error> {
    n.cancel("stop");
    pending().await
}

#[derive(Debug)]
enum AppError {
    Stopped(Cancelled),
}

#[scoped(|n|, map_cancelled = AppError::Stopped)]
async fn mapped_by_a_variant() -> Result<(), AppError> {
    n.cancel("stop");
    pending().await
}

#[test]
fn map_cancelled_is_anything_that_can_be_called() {
    both_flavours(|| async {
        assert_eq!(mapped_by_a_closure().await, Err(std::fmt::Error));
        let AppError::Stopped(cancelled) = mapped_by_a_variant().await.unwrap_err();
        assert_eq!(cancelled.reason(), Reason::Requested);
    });
}

#[scoped(allow(tokio_spawn))]
async fn detaches() -> Result<tokio::task::JoinHandle<()>, Cancelled> {
    Ok(tokio::spawn(pending()))
}

#[test]
fn allow_tokio_spawn_lets_a_task_go() {
    both_flavours(|| async {
        let detached = detaches().await.unwrap();
        tokio::task::yield_now().await;
        assert!(!detached.is_finished());
        detached.abort();
        assert!(detached.await.unwrap_err().is_cancelled());
    });
}

#[scoped(
    |n|,
    policy = Supervise,
    timeout = SECOND,
    deadline = Instant::now() + SECOND,
    grace = SECOND,
    name = "everything",
    map_cancelled = AppError::Stopped,
    allow(tokio_spawn),
)]
async fn with_every_option() -> Result<String, AppError> {
    tokio::spawn(async {});
    assert!(n.remaining().is_some_and(|left| left <= SECOND));
    Ok(n.name().unwrap_or_default().to_owned())
}

#[test]
fn all_together() {
    both_flavours(|| async { assert_eq!(with_every_option().await.unwrap(), "everything") });
}

#[scoped(|n|, limit = seats)]
async fn two_at_a_time(seats: &sc_tokio::Limit, log: &Log) -> Result<(), Cancelled> {
    for i in 0..4 {
        let log = log.clone();
        n.spawn(async move {
            log.add(format!("{i} begins"));
            tokio::task::yield_now().await;
            log.add(format!("{i} ends"));
        });
    }
    Ok(())
}

#[scoped(|n|, limit = 1)]
async fn one_at_a_time() {
    assert_eq!(n.limit().unwrap().size(), 1);
}

#[tokio::test]
async fn limit_is_a_number_or_a_limit_that_is_shared() {
    let log = Log::new();
    let seats = sc_tokio::Limit::new(2);
    two_at_a_time(&seats, &log).await.unwrap();
    // Nobody begins before somebody has ended.
    assert_eq!(log.entries()[..2], ["0 begins", "1 begins"]);
    assert!(log.entries()[2].ends_with("ends") && log.entries().len() == 8, "{:?}", log.entries());
    assert_eq!(seats.available(), 2);
    one_at_a_time().await;
}

//! What an operator asks of a service before it goes to production, one test a question, with the public interface only.
//! Meant to be read: each is the shortest program that shows the answer.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, Supervise, join, nursery, scoped};
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{Live, Watchdog, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

/// A service's own error: what can go wrong, and being told to stop.
#[derive(Debug, PartialEq)]
enum AppError {
    PaymentRefused,
    Stopped(Reason),
}

impl From<Cancelled> for AppError {
    fn from(cancelled: Cancelled) -> Self {
        Self::Stopped(cancelled.reason())
    }
}

/// Somebody who parks for ever, and whose captures can be counted.
async fn parked(live: &Live) {
    let _guard = live.one();
    pending::<()>().await;
}

// One fails: do the others stop, and is the error the one that began it?

#[test]
fn sibling_cancellation() {
    both_flavours(|| async {
        let live = Live::new();
        let siblings = live.clone();
        let outcome = nursery!(async |n| -> Result<(), AppError> {
            for _ in 0..10 {
                let live = siblings.clone();
                n.spawn(async move { parked(&live).await });
            }
            while siblings.count() < 10 {
                yield_now().await;
            }
            n.task().name("payment").spawn(async { Err::<(), _>(AppError::PaymentRefused) });
            pending().await // the body is stopped like a child
        })
        .outcome()
        .await;

        assert_eq!(live.count(), 0, "every sibling has ended, and what it captured is dropped");
        let report = outcome.report();
        assert_eq!((report.spawned, report.failed, report.cancelled), (11, 1, 10));
        assert_eq!(report.failed_members[0].name(), Some("payment"));
        assert_eq!(outcome.into_result(), Err(AppError::PaymentRefused));
    });
}

// A parent runs out of time: does that reach the grandchildren, and is it quiet afterwards?

/// Works for ever, a step every 100 ms.
async fn step(steps: Arc<AtomicU32>) {
    loop {
        sleep(SECOND / 10).await;
        steps.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn parent_time_out() {
    /// Neither takes a deadline nor passes one on.
    #[scoped(|n|)]
    async fn library(steps: Arc<AtomicU32>) -> Result<(), AppError> {
        n.spawn(step(Arc::clone(&steps))); // a grandchild
        sc_tokio::spawn(step(steps)); // another, by the drop-in for `tokio::spawn`
        pending().await
    }

    let (began, steps) = (Instant::now(), Arc::new(AtomicU32::new(0)));
    let counter = Arc::clone(&steps);
    let result: Result<(), AppError> = nursery!(async |n| {
        n.spawn(library(counter));
        pending().await
    })
    .timeout(2 * SECOND + SECOND / 20)
    .await;

    assert_eq!(result, Err(AppError::Stopped(Reason::Deadline)));
    assert_eq!(began.elapsed(), 2 * SECOND + SECOND / 20, "neither early nor late");
    assert_eq!(steps.load(Ordering::SeqCst), 40, "two grandchildren, 20 steps each");
    assert_eq!(Arc::strong_count(&steps), 1, "nobody is left who could take another");
    sleep(60 * SECOND).await;
    assert_eq!(steps.load(Ordering::SeqCst), 40, "and nobody did");
}

// A child does not listen: is it waited for, and who tells the operator which one it is?

/// Opens a gate at the first warning, and keeps it.
struct Pager(std::sync::Mutex<Option<mpsc::Sender<()>>>, Arc<std::sync::Mutex<String>>);

impl tracing::field::Visit for Pager {
    fn record_debug(&mut self, _: &tracing::field::Field, text: &dyn std::fmt::Debug) {
        *self.1.lock().unwrap() = format!("{text:?}");
    }
}

impl tracing::Subscriber for Pager {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let gate = if *event.metadata().level() == tracing::Level::WARN { self.0.lock().unwrap().take() } else { None };
        if gate.is_some() {
            event.record(&mut Self(None.into(), Arc::clone(&self.1)));
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn slow_child_with_watchdog() {
    let flavours = [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()];
    for mut flavour in flavours {
        let _watchdog = Watchdog::start();
        let (release, released) = mpsc::channel();
        let warning = Arc::new(std::sync::Mutex::new(String::new()));
        let pager = Pager(Some(release).into(), Arc::clone(&warning));
        let runtime = flavour.worker_threads(2).enable_all().build().unwrap();
        let (mut spawned_at, live) = (0, Live::new());
        let test = async {
            let guard = live.one();
            let (running, runs) = tokio::sync::oneshot::channel();
            nursery!(async |n| -> Result<(), Cancelled> {
                spawned_at = line!() + 1;
                n.task().name("export").spawn_blocking(move |_cx| {
                    let _guard = guard;
                    running.send(()).unwrap();
                    let _ = released.recv(); // deaf: does not look at `_cx`; goes on until the pager was called
                });
                runs.await.unwrap();
                n.cancel("hurry");
                pending().await
            })
            .named("report")
            .warn_after(Duration::from_millis(20))
            .outcome()
            .await
        };
        let outcome = tracing::subscriber::with_default(pager, || runtime.block_on(test));

        assert_eq!(live.count(), 0, "it was waited for");
        assert_eq!((outcome.kind(), outcome.report().stragglers.len()), (OutcomeKind::Cancelled, 1));
        let straggler = &outcome.report().stragglers[0].member;
        assert_eq!((straggler.name(), straggler.place().unwrap().line()), (Some("export"), spawned_at));
        let (warning, place) = (warning.lock().unwrap(), format!("{}:{spawned_at}", file!()));
        assert!(warning.contains("scope `report`") && warning.contains("waits for child `export`"), "{warning}");
        assert!(warning.contains(&place), "{warning}");
    }
}

// A retry loop is told to stop: does it stop, now, and does it know that trying again is pointless?

/// Tries until it succeeds or somebody above has had enough; what a service would have in its tool box.
async fn retry<F: Future>(mut attempt: impl FnMut() -> F) -> Result<F::Output, Cancelled> {
    let mut back_off = SECOND;
    loop {
        // Without a grace of its own an attempt would have that of whoever gives up, and spend it.
        let tried = nursery!(async |_n| -> Result<F::Output, Cancelled> { Ok(attempt().await) });
        match tried.timeout(SECOND).grace(Duration::ZERO).await {
            // Whoever is above has given up: another attempt would be cut short as well.
            Err(stopped) if stopped.is_inherited() => return Err(stopped),
            Err(late) => assert!(late.is_deadline(), "this attempt's own, which is worth another one"),
            Ok(value) => return Ok(value),
        }
        tokio::select! {
            stopped = sc_tokio::cancelled() => return Err(stopped),
            () = sleep(back_off) => back_off *= 2,
        }
    }
}

/// Cancels a retry loop after `patience`; gives when it had returned, the attempts by then, and what it returned, if it
/// had the time to return anything.
async fn cancelled_after(patience: Duration, grace: Duration) -> (Duration, u32, Option<Cancelled>) {
    let (began, attempts) = (Instant::now(), Arc::new(AtomicU32::new(0)));
    let (counter, (tell, told)) = (Arc::clone(&attempts), tokio::sync::oneshot::channel());
    let _: Result<(), Cancelled> = nursery!(async |n| {
        n.spawn(async move {
            let server_that_hangs = || {
                counter.fetch_add(1, Ordering::SeqCst);
                pending::<()>()
            };
            let _ = tell.send(retry(server_that_hangs).await.unwrap_err());
        });
        sleep(patience).await;
        n.cancel("the client has left");
        Ok(())
    })
    .grace(grace)
    .await;
    let (elapsed, made) = (began.elapsed(), attempts.load(Ordering::SeqCst));
    sleep(60 * SECOND).await;
    assert_eq!(attempts.load(Ordering::SeqCst), made, "nothing is tried afterwards");
    (elapsed, made, told.await.ok())
}

#[tokio::test(start_paused = true)]
async fn retry_loop_cancelled_during_back_off() {
    // Attempts begin at 0 s, 2 s and 5 s; from 3 s to 5 s the loop backs off.
    let (elapsed, attempts, told) = cancelled_after(4 * SECOND, Duration::ZERO).await;
    assert_eq!((elapsed, attempts), (4 * SECOND, 2), "at once, and no third attempt");
    assert!(told.is_none(), "without a grace it is dropped where it waits");

    // With one it is told, and does not need it.
    let (elapsed, attempts, told) = cancelled_after(4 * SECOND, 60 * SECOND).await;
    assert_eq!((elapsed, attempts), (4 * SECOND, 2));
    assert_eq!(told.unwrap().to_string().split(" in ").next(), Some("cancellation requested"));

    // During an attempt: what ends it is not its own time-out, and the loop can tell.
    let (elapsed, attempts, told) = cancelled_after(5 * SECOND + SECOND / 2, 60 * SECOND).await;
    assert_eq!((elapsed, attempts), (5 * SECOND + SECOND / 2, 3));
    assert!(told.unwrap().is_inherited());
}

// Ten thousand requests, many of which go wrong: is anything left of them?

/// Three children, one of which opens a scope of its own, and a task of the drop-in.
async fn request(number: u32, live: &Live) -> Result<u32, AppError> {
    let (own, values, ambient) = (live.one(), live.clone(), live.one());
    nursery!(async move |n| {
        let _own = own;
        let nested = values.clone();
        let _audit = sc_tokio::spawn(async move {
            let _guard = ambient;
            yield_now().await;
        });
        n.spawn(async move {
            nursery!(async |n| {
                n.spawn(async move { if number % 4 == 0 { yield_now().await } else { parked(&nested).await } });
                Ok(())
            })
            .await
        });
        n.spawn(async move { if number % 4 == 1 { Err(AppError::PaymentRefused) } else { Ok(()) } });
        let page = values.one();
        let page = n.spawn(async move {
            yield_now().await;
            drop(page);
            Ok(number)
        });
        Ok(page.await)
    })
    .timeout(if number % 4 == 2 { Duration::from_millis(1) } else { 60 * SECOND })
    .await
}

/// Answered, failed, timed out, and left by the client half-way: a quarter each.
async fn served(numbers: std::ops::Range<u32>, live: &Live) -> [u32; 4] {
    let mut ends = [0; 4];
    for batch in numbers.step_by(50) {
        let batch = (batch..batch + 50).map(|number| async move {
            if number % 4 == 3 {
                let mut left = Box::pin(request(number, live));
                assert!(futures::poll!(left.as_mut()).is_pending(), "it waits for its page");
                return 3;
            }
            match request(number, live).await {
                Ok(_) => 0,
                Err(AppError::PaymentRefused) => 1,
                Err(AppError::Stopped(_)) => 2,
            }
        });
        for end in futures::future::join_all(batch).await {
            ends[end] += 1;
        }
    }
    ends
}

/// The memory that the process holds, in kilobytes, where the system tells it.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<usize>().ok()? * 4)
}

/// In a process of its own, whose memory is nobody else's.
#[test]
fn leak_over_repeated_requests() {
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", "playbook::ten_thousand_requests", "--ignored", "--test-threads=1"]);
    let output = alone.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by `leak_over_repeated_requests`, alone"]
fn ten_thousand_requests() {
    both_flavours(|| async {
        let alive = || Handle::current().metrics().num_alive_tasks();
        let (live, tasks) = (Live::new(), alive());
        served(0..2_000, &live).await; // the allocator's and the runtime's own share
        let before = resident();
        let ends = served(0..10_000, &live).await;
        assert_eq!(ends, [2_500; 4]);
        // What dropped requests left is stopped, and is waited for by the root: the watchdog ends this if it is not.
        while alive() > tasks || live.count() > 0 {
            yield_now().await;
        }
        assert!(sc_tokio::root().is_empty(), "{}", sc_tokio::tree());
        if let (Some(before), Some(after)) = (before, resident()) {
            assert!(after < before + 4_000, "{before} kB before ten thousand requests, {after} kB after");
        }
    });
}

// Not everything comes in time: what does the caller get?

/// What a page is made of, and what it has to do without.
#[derive(Debug, PartialEq)]
struct Page {
    parts: Vec<(&'static str, u32)>,
    missing: Vec<(&'static str, String)>,
}

impl Page {
    fn of(parts: impl IntoIterator<Item = (&'static str, Result<u32, Failure<AppError>>)>) -> Self {
        let mut page = Self { parts: Vec::new(), missing: Vec::new() };
        for (name, part) in parts {
            match part {
                Ok(part) => page.parts.push((name, part)),
                Err(Failure::Error(error)) => page.missing.push((name, format!("{error:?}"))),
                Err(Failure::Cancelled(late)) => page.missing.push((name, late.reason().to_string())),
                Err(failure) => page.missing.push((name, format!("{failure:?}"))),
            }
        }
        page
    }
}

const PARTS: [&str; 3] = ["profile", "orders", "offers"];

async fn part(name: &'static str) -> Result<u32, AppError> {
    match name {
        "profile" => Ok(1),
        "orders" => Err(AppError::PaymentRefused),
        _ => pending().await,
    }
}

fn partial() -> Page {
    let missing = [("orders", "PaymentRefused"), ("offers", "deadline expired")];
    Page { parts: vec![("profile", 1)], missing: missing.map(|(name, why)| (name, why.to_owned())).into() }
}

#[tokio::test(start_paused = true)]
async fn explicit_partial_response() {
    let began = Instant::now();
    let answers = join::settle(PARTS.map(part)).parallel().timeout(2 * SECOND).await;
    assert_eq!(Page::of(PARTS.into_iter().zip(answers)), partial());
    assert_eq!(began.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn explicit_partial_response_of_children_of_different_kinds() {
    let outcome = nursery!(<Supervise> async |n| -> Result<Page, AppError> {
        let profile = n.spawn(part("profile"));
        let orders = n.spawn(part("orders"));
        let offers = n.task().timeout(2 * SECOND).spawn(part("offers"));
        let answers = [profile.join().await, orders.join().await, offers.join().await];
        Ok(Page::of(PARTS.into_iter().zip(answers)))
    })
    .outcome()
    .await;
    assert_eq!(outcome.kind(), OutcomeKind::Ok, "every failure was taken by the one who joined the child");
    assert_eq!(outcome.into_value(), Some(partial()));
}

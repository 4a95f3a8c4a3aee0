//! The phases of a shutdown, in virtual time.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sc_tokio::{Cancelled, Reason, Root, RootEnd, Unfinished, nursery};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, and how many seconds after the beginning.
#[derive(Clone)]
struct Log(Instant, Arc<Mutex<Vec<String>>>);

impl Log {
    fn new() -> Self {
        Self(Instant::now(), Arc::default())
    }

    fn add(&self, what: &str) {
        self.1.lock().unwrap().push(format!("{what} {}", self.0.elapsed().as_secs_f64()));
    }

    fn at_drop(&self, what: &'static str) -> AtDrop {
        AtDrop(self.clone(), what)
    }

    fn entries(&self) -> Vec<String> {
        self.1.lock().unwrap().clone()
    }
}

struct AtDrop(Log, &'static str);

impl Drop for AtDrop {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

fn texts(who: &[Unfinished]) -> Vec<String> {
    who.iter().map(ToString::to_string).collect()
}

/// What an accept loop, a request, and work that has no end see of a shutdown.
async fn service(log: Log) {
    let told = log.clone();
    let ready = sc_tokio::spawn(async move {
        sc_tokio::shutting_down().await;
        told.add("not ready");
        assert!(sc_tokio::is_shutting_down());
        sc_tokio::drain_begins().await;
        told.add("drain");
    });
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let accept = log.at_drop("accept loop stopped");
        n.task().name("accept").until_shutdown().spawn(async move {
            let _accept = accept;
            pending::<()>().await;
        });
        let request = log.clone();
        n.spawn(async move {
            sleep(20 * SECOND).await;
            request.add("request answered");
        });
        sleep(SECOND).await;
        sc_tokio::root().begin_shutdown();
        Ok(())
    });
    outcome.await.unwrap();
    ready.await.unwrap();
    log.add("main returned");
}

#[tokio::test(start_paused = true)]
async fn first_not_ready_then_the_drain_then_the_end_of_main() {
    let log = Log::new();
    let ended = Root::new().pre_drain(5 * SECOND).drain(15 * SECOND).run(service(log.clone())).await;
    let expected = ["not ready 1", "drain 6", "accept loop stopped 6", "request answered 20", "main returned 20"];
    assert_eq!(log.entries(), expected);
    assert!(ended.is_clean(), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_delay_the_drain_begins_with_the_shutdown() {
    let log = Log::new();
    let ended = Root::new().run(service(log.clone())).await;
    assert_eq!(log.entries()[..3], ["not ready 1", "drain 1", "accept loop stopped 1"]);
    assert!(ended.is_clean() && ended.unfinished().is_empty(), "{ended:?}");
}

/// A program with a shutdown at 1 s and nobody who listens to it.
async fn deaf(log: Log) -> u8 {
    let guard = log.at_drop("task dropped");
    sc_tokio::spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    let session = nursery!(async |n| -> Result<(), Cancelled> {
        sleep(SECOND / 2).await;
        n.task().name("upload").spawn(async { pending::<()>().await });
        sleep(SECOND / 2).await;
        sc_tokio::root().begin_shutdown();
        pending().await
    });
    let _main = log.at_drop("main dropped");
    session.named("session").await.unwrap();
    7
}

#[tokio::test(start_paused = true)]
async fn who_has_not_finished_at_the_end_of_the_drain_is_named_and_dropped() {
    let log = Log::new();
    let ended = Root::new().run(deaf(log.clone())).await;
    assert_eq!(log.0.elapsed(), 21 * SECOND);
    assert!(log.entries().contains(&"main dropped 21".to_owned()), "{:?}", log.entries());
    assert!(log.entries().contains(&"task dropped 21".to_owned()), "{:?}", log.entries());
    let [task, upload, main] = texts(ended.unfinished()).try_into().unwrap();
    assert!(task.starts_with("a child (") && task.contains("phases.rs:"), "{task}");
    assert!(task.ends_with(") in root, 21s old"), "{task}");
    assert!(upload.starts_with("child `upload` (") && upload.contains("phases.rs:"), "{upload}");
    assert!(upload.ends_with(") in root > session, 20.5s old"), "{upload}");
    assert_eq!(main, "the main function");
    assert!(ended.abandoned().is_empty() && !ended.is_clean());
    assert_eq!(ended.into_value(), None);
}

#[tokio::test(start_paused = true)]
async fn who_hurries_goes_to_the_end_at_once() {
    for pre_drain in [Duration::ZERO, 5 * SECOND] {
        let log = Log::new();
        let hurried = log.clone();
        let ended = Root::new().pre_drain(pre_drain).run(async move {
            sc_tokio::spawn(async {
                sleep(3 * SECOND).await;
                sc_tokio::root().hurry_shutdown();
            });
            deaf(hurried).await
        });
        let ended = ended.await;
        assert_eq!(log.0.elapsed(), 3 * SECOND, "{pre_drain:?}");
        assert_eq!(ended.unfinished().len(), 3, "{ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_shutdown_to_hurry_it_begins_one() {
    let start = Instant::now();
    let ended: RootEnd<()> = Root::new()
        .run(async {
            sc_tokio::spawn(pending::<()>()); // which has not begun when it is over
            sc_tokio::root().hurry_shutdown();
            sc_tokio::shutting_down().await;
            pending::<()>().await;
        })
        .await;
    let [task, main] = texts(ended.unfinished()).try_into().unwrap();
    assert!(task.contains("phases.rs:") && task.ends_with(") in root"), "{task}");
    assert_eq!(main, "the main function");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_drain_of_no_time_cancels_at_once_and_one_of_all_time_waits() {
    let start = Instant::now();
    let program = || async {
        sc_tokio::root().begin_shutdown();
        sleep(1_000_000 * SECOND).await;
    };
    assert!(!Root::new().drain(Duration::ZERO).run(program()).await.is_clean());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(Root::new().drain(Duration::MAX).run(program()).await.is_clean());
    assert_eq!(start.elapsed(), 1_000_000 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_cancellation_says_shutdown_and_a_shield_in_main_is_finished() {
    let log = Log::new();
    let told = log.clone();
    let ended = Root::new().drain(2 * SECOND).run(async move {
        sc_tokio::root().begin_shutdown();
        let seen = sc_tokio::spawn(async move {
            let cancelled = sc_tokio::shield(SECOND, async {
                sleep(2 * SECOND + SECOND / 2).await;
                sc_tokio::current().unwrap().pending_cancellation().map(|cancelled| cancelled.reason())
            });
            let cancelled = cancelled.await.unwrap();
            told.add(&format!("{cancelled:?}"));
        });
        seen.await.unwrap();
    });
    let ended = ended.await;
    assert_eq!(log.entries(), [format!("{:?} 2.5", Some(Reason::Shutdown))]);
    assert!(!ended.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_child_started_in_the_delay_runs_until_the_drain_begins() {
    let log = Log::new();
    let told = log.clone();
    let ended = Root::new().pre_drain(5 * SECOND).run(async move {
        sc_tokio::root().begin_shutdown();
        sleep(SECOND).await;
        nursery!(async |n| -> Result<(), Cancelled> {
            let late = told.at_drop("stopped");
            n.task().until_shutdown().spawn(async move {
                late.0.add("began");
                pending::<()>().await;
            });
            Ok(())
        })
        .await
        .unwrap();
    });
    assert!(ended.await.is_clean());
    assert_eq!(log.entries(), ["began 1", "stopped 5"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_during_the_shutdown_reaches_the_hook() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&told);
    sc_tokio::set_failure_hook(move |failure| {
        if failure.message.contains("in the drain, for the hook") {
            hook.lock().unwrap().push(failure.to_string());
        }
    });
    let ended = Root::new().run(async {
        sc_tokio::spawn(async {
            sc_tokio::drain_begins().await;
            panic!("in the drain, for the hook");
        });
        sc_tokio::root().begin_shutdown();
        sleep(SECOND).await;
    });
    assert!(ended.await.is_clean(), "supervised: it takes nobody with it");
    sc_tokio::reset_failure_hook();
    assert_eq!(told.lock().unwrap().len(), 1);
}

/// A root's handle is used wherever the news comes from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_may_begin_on_a_thread_that_is_not_the_runtimes() {
    let start = std::time::Instant::now();
    let ended = Root::new().drain(Duration::MAX).run(async {
        let root = sc_tokio::root();
        std::thread::spawn(move || {
            root.begin_shutdown();
            root.hurry_shutdown();
        });
        pending::<()>().await;
    });
    assert!(!ended.await.is_clean());
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// A program whose main function is over, and that has to wait for somebody.
async fn does_not_end(time: Duration) {
    sc_tokio::spawn_shielded(time, pending::<()>());
    tokio::task::yield_now().await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_abandoned_after_a_while_and_named() {
    let start = Instant::now();
    let ended = Root::new().run(async {
        does_not_end(100 * SECOND).await;
        "value"
    });
    let ended = ended.await;
    assert_eq!(start.elapsed(), 5 * SECOND);
    let [abandoned] = texts(ended.abandoned()).try_into().unwrap();
    assert!(abandoned.contains("phases.rs:") && abandoned.ends_with("5s old"), "{abandoned}");
    assert!(!ended.is_clean() && ended.unfinished().is_empty());
    assert_eq!((ended.time_left(), ended.into_value()), (Duration::ZERO, Some("value")));
}

#[tokio::test(start_paused = true)]
async fn what_ends_in_time_is_joined_and_leaves_the_rest_of_the_time() {
    let ended = Root::new().run(does_not_end(2 * SECOND)).await;
    assert!(ended.is_clean() && ended.left_behind().len() == 1, "{ended:?}");
    assert_eq!(ended.time_left(), 3 * SECOND);
    let ended = Root::new().abandon_after(Duration::MAX).run(does_not_end(1_000 * SECOND)).await;
    assert!(ended.is_clean(), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_third_signal_ends_the_wait() {
    let start = Instant::now();
    let ended = Root::new().run(async {
        sc_tokio::spawn_shielded(100 * SECOND, async {
            sleep(SECOND).await;
            sc_tokio::root().hurry_shutdown(); // the second signal
            sleep(SECOND).await;
            sc_tokio::root().hurry_shutdown(); // the third
            pending::<()>().await;
        });
        sc_tokio::root().begin_shutdown();
        pending::<()>().await;
    });
    let ended = ended.await;
    assert_eq!(start.elapsed(), 2 * SECOND);
    assert_eq!((ended.unfinished().len(), ended.abandoned().len()), (2, 1), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_and_a_third_signal_at_once_wait_for_nobody() {
    let start = Instant::now();
    let ended = Root::new().run(async {
        sc_tokio::spawn_shielded(100 * SECOND, pending::<()>());
        tokio::task::yield_now().await;
        let root = sc_tokio::root();
        root.begin_shutdown();
        root.hurry_shutdown();
        root.hurry_shutdown();
        pending::<()>().await;
    });
    let ended = ended.await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((ended.unfinished().len(), ended.abandoned().len()), (2, 1), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn main_may_return_in_the_drain_and_ends_the_program() {
    let start = Instant::now();
    let ended = Root::new().run(async {
        sc_tokio::spawn(pending::<()>());
        sc_tokio::root().begin_shutdown();
        sleep(SECOND).await;
    });
    let ended = ended.await;
    assert_eq!(start.elapsed(), SECOND);
    assert!(ended.is_clean() && ended.left_behind().len() == 1, "{ended:?}");
}

#[test]
fn without_a_timer_a_shutdown_is_unbounded_and_a_bound_that_was_asked_for_is_an_error() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let program = || async {
        sc_tokio::root().begin_shutdown();
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(10))).await.unwrap();
    };
    assert!(runtime.block_on(Root::new().run(program())).is_clean());
    let asked = std::panic::AssertUnwindSafe(|| runtime.block_on(Root::new().drain(SECOND).run(program())));
    assert!(std::panic::catch_unwind(asked).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_root_in_a_scope_that_is_cancelled_abandons_nobody() {
    let start = Instant::now();
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let stop = n.canceller();
        let root = Root::new().run(async move {
            stop.cancel("from around the root");
            sc_tokio::spawn(pending::<()>());
            pending::<()>().await;
        });
        let _never = root.await;
        Ok(())
    });
    let outcome = outcome.grace(60 * SECOND).outcome().await;
    assert!(outcome.cancelled().is_some() && outcome.failures().is_empty());
    assert_eq!(start.elapsed(), 60 * SECOND, "the grace is the surrounding scope's");
}

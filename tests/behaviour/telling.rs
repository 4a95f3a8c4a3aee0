//! What is told to whom: the failure hook, and `tracing` events.

use std::future::{IntoFuture, pending};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sc_tokio::{Cancelled, nursery};
use tokio::task::yield_now;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the messages of one thread's events.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<(Level, String)>>>);

impl Recorder {
    fn find(&self, level: Level, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|(l, message)| *l == level && message.contains(text))
    }

    #[track_caller]
    fn expect(&self, level: Level, text: &str) {
        assert!(self.find(level, text), "no {level} event with {text:?} in {:#?}", self.0.lock().unwrap());
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push((*event.metadata().level(), message.0));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Runs a test in virtual time on this thread, and gives what it said.
fn recorded(test: impl Future<Output = ()>) -> Recorder {
    let recorder = Recorder::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tracing::subscriber::with_default(recorder.clone(), || runtime.block_on(test));
    recorder
}

#[test]
fn a_cancelled_scope_and_a_refused_spawn_are_told_at_debug_level() {
    let told = recorded(async {
        let _ = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("for the log");
            n.spawn(async {});
            Ok(())
        })
        .named("chatty")
        .await;
    });
    told.expect(Level::DEBUG, "cancelled: cancellation requested in scope `chatty`");
    told.expect(Level::DEBUG, "for the log");
    told.expect(Level::DEBUG, "refused: scope `chatty`");
}

#[test]
fn a_scope_dropped_before_its_end_is_told() {
    let told = recorded(async {
        let mut scope =
            Box::pin(nursery!(async |_n| -> Result<(), Cancelled> { pending().await }).named("half-way").into_future());
        assert!(futures::poll!(scope.as_mut()).is_pending());
        drop(scope);
    });
    told.expect(Level::DEBUG, "scope `half-way` (");
    told.expect(Level::DEBUG, "was dropped before its end");
}

#[test]
fn a_slow_drain_warns_with_names_and_places_again_and_again() {
    let mut outcome = None;
    let told = recorded(async {
        outcome = Some(
            nursery!(async |n| -> Result<(), Cancelled> {
                n.task().name("dawdler").spawn_with(async |n: &sc_tokio::Scope<Cancelled>| {
                    n.cancelled().await;
                    tokio::time::sleep(Duration::from_secs(25)).await;
                });
                yield_now().await;
                n.cancel("hurry");
                Ok(())
            })
            .named("slow")
            .grace(Duration::from_secs(60))
            .outcome()
            .await,
        );
    });
    told.expect(Level::WARN, "scope `slow`");
    told.expect(Level::WARN, "has been draining for 10s and waits for child `dawdler` (");
    told.expect(Level::WARN, "draining for 20s");
    let outcome = outcome.unwrap();
    let [straggler] = &outcome.report().stragglers[..] else { panic!("{outcome:?}") };
    assert_eq!((straggler.member.name(), straggler.after), (Some("dawdler"), Duration::from_secs(20)));
}

#[test]
fn a_long_closing_says_so_at_info_level() {
    let told = recorded(async {
        let scope: Result<(), Cancelled> = nursery!(async |n| {
            n.spawn(tokio::time::sleep(Duration::from_secs(5)));
            Ok(())
        })
        .warn_after(Duration::from_secs(2))
        .await;
        scope.unwrap();
    });
    told.expect(Level::INFO, "has been closing for 2s");
    assert!(!told.find(Level::WARN, "closing"));
}

#[test]
fn the_drain_of_a_dropped_scope_warns_too() {
    let told = recorded(async {
        let mut scope = Box::pin(
            nursery!(async |n| -> Result<(), Cancelled> {
                n.task().name("orphan").spawn(pending::<()>());
                pending().await
            })
            .grace(Duration::from_secs(15))
            .into_future(),
        );
        assert!(futures::poll!(scope.as_mut()).is_pending());
        yield_now().await;
        drop(scope);
        tokio::time::sleep(Duration::from_secs(20)).await;
    });
    told.expect(Level::WARN, "draining for 10s and waits for child `orphan`");
}

/// Failures that the outcome's list has no room for.
fn overflow_goes_to_the_hook(runtime: &tokio::runtime::Runtime, told: &Mutex<Vec<(Option<String>, String)>>) {
    runtime.block_on(async {
        let before = told.lock().unwrap().len();
        let outcome = nursery!(<sc_tokio::Supervise> async |n| -> Result<(), String> {
            for _ in 0..sc_tokio::FAILURES_KEPT + 6 {
                n.spawn(async { Err::<(), _>(String::from("beyond the bound, for the hook")) });
            }
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(outcome.failures().len(), sc_tokio::FAILURES_KEPT);
        assert_eq!(told.lock().unwrap().len() - before, 6, "each of them, once (P4)");
        told.lock().unwrap().truncate(before);
    });
}

#[test]
fn every_failure_that_reaches_nobody_else_reaches_the_hook_once() {
    let _mine = crate::support::the_hook();
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&told);
    sc_tokio::set_failure_hook(move |failure| {
        let text = failure.to_string();
        if text.contains("for the hook") {
            hook.lock().unwrap().push((failure.member.name().map(str::to_owned), text));
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        // `.await` returns only the first failure.
        let result = nursery!(async |n| -> Result<(), String> {
            n.defer(async |_end| Err::<(), _>(String::from("finalizer, for the hook")));
            Err(String::from("the result"))
        })
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(result.unwrap_err(), "the result");
        // A value, and failures that the policy continued past.
        let result = nursery!(<sc_tokio::Supervise> async |n| -> Result<u8, String> {
            n.task().name("tolerated").spawn(async { Err::<(), _>(String::from("tolerated, for the hook")) });
            Ok(1)
        })
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(result.unwrap(), 1);
        // A dropped scope has nobody to return anything to.
        let mut scope = Box::pin(
            nursery!(<sc_tokio::Supervise> async |n| -> Result<(), String> {
                n.spawn(async { Err::<(), _>(String::from("dropped, for the hook")) });
                pending().await
            })
            .map_cancelled(|c| c.to_string())
            .into_future(),
        );
        assert!(futures::poll!(scope.as_mut()).is_pending());
        for _ in 0..5 {
            yield_now().await;
        }
        drop(scope);
        for _ in 0..5 {
            yield_now().await;
        }
    });
    overflow_goes_to_the_hook(&runtime, &told);
    crate::joins::losses_go_to_the_hook(&runtime, &told);
    // What panics in a program's root is told when it happens.
    let ended = runtime.block_on(sc_tokio::Root::new().run(async {
        let before = told.lock().unwrap().len();
        let task = sc_tokio::spawn(async { panic!("in the root, for the hook") });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(told.lock().unwrap().len(), before + 1);
        told.lock().unwrap().pop();
    }));
    assert!(ended.is_clean());
    sc_tokio::reset_failure_hook();
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[0].1.starts_with("a finalizer in scope "), "{told:#?}");
    assert_eq!(told[1].0.as_deref(), Some("tolerated"));
    assert!(told[2].1.contains("dropped, for the hook"));
}

//! Destructors that panic, look at the scope, or take their time.

use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll};

use sc_tokio::{Cancelled, Failure, OutcomeKind, Supervise, Verdict, nursery, policy_fn};

use crate::support::{Live, OnDrop, listen, paused, settle, told, unique};

/// A future that panics when it is dropped.
struct PanicsOnDrop(String);

impl Future for PanicsOnDrop {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

/// P4, P5: decided early, returned late: the destructor of `cancel_on`'s future does not unwind out
/// of the scope before its children have ended.
#[test]
fn a_panic_of_the_external_signals_destructor_is_recorded_and_waits_for_the_drain() {
    paused(|| async {
        let live = Live::default();
        let guard = live.guard();
        let text = unique("signal");
        let outcome = nursery!(async |n| -> Result<u8, Cancelled> {
            let _ = n.spawn(async move {
                let _guard = guard;
                settle().await;
            });
            Ok(1)
        })
        .cancel_on(PanicsOnDrop(text.clone()))
        .outcome()
        .await;
        assert_eq!(live.count(), 0);
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        assert_eq!(outcome.value(), Some(&1));
        let panic = outcome.failures().first().and_then(Failure::as_panic).expect("the panic");
        assert_eq!(panic.message(), Some(&*text));
    });
}

/// A reason that does something when it is dropped.
struct Why<F: FnOnce()>(#[allow(dead_code, reason = "held for its destructor")] OnDrop<F>);

impl<F: FnOnce()> std::fmt::Debug for Why<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Why")
    }
}

impl<F: FnOnce()> std::fmt::Display for Why<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("why")
    }
}

impl<F: FnOnce()> std::error::Error for Why<F> {}

/// No user code runs under the scope's lock, the destructor of a `why` that came second included.
#[test]
fn the_cause_of_a_late_cancellation_may_ask_the_scope_when_it_is_dropped() {
    paused(|| async {
        let (asked, answers) = std::sync::mpsc::channel();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            n.cancel("first");
            let stop = n.canceller();
            let again = stop.clone();
            stop.cancel(Why(OnDrop::new(move || {
                again.cancel("third");
                asked.send(again.is_cancelled()).expect("the test listens");
            })));
            pending().await
        })
        .await;
        assert!(answers.try_recv().expect("the cause was dropped"));
        assert!(result.unwrap_err().to_string().ends_with("first"));
    });
}

/// The same for notices that the scope keeps for children it stopped.
#[test]
fn the_causes_of_repeated_child_cancellations_may_ask_the_scope_when_dropped() {
    paused(|| async {
        let (asked, answers) = std::sync::mpsc::channel();
        let result: Result<(), Cancelled> = nursery!(async |n| {
            for _ in 0..3 {
                let (stop, asked) = (n.canceller(), asked.clone());
                n.cancel_children(Why(OnDrop::new(move || {
                    stop.cancel("from a destructor");
                    asked.send(()).expect("the test listens");
                })));
            }
            pending().await
        })
        .await;
        assert!(answers.try_recv().is_ok(), "a notice that nobody needs any more is dropped");
        assert!(result.is_err());
    });
}

/// P4: a finalizer that comes too late is dropped; the panic of its captures is somebody's.
#[test]
fn a_panic_of_the_policys_destructor_is_delivered() {
    listen();
    paused(|| async {
        let text = unique("policy capture");
        let capture = OnDrop::new({
            let text = text.clone();
            move || panic!("{text}")
        });
        let policy = policy_fn(move |_| {
            let _ = &capture;
            Verdict::Continue
        });
        let outcome = nursery!(async |_n| -> Result<(), Cancelled> { Ok(()) }).policy(policy).outcome().await;
        let kept = outcome.failures().iter().filter_map(Failure::as_panic).any(|p| p.message() == Some(&*text));
        assert!(kept || told(&text) == 1, "the panic reached nobody: {outcome:?}");
    });
}

struct BadDebug;

impl std::fmt::Debug for BadDebug {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("{BAD_DEBUG}")
    }
}

const BAD_DEBUG: &str = "this error cannot describe itself";

/// P4: an error that cannot be described has happened all the same.
#[test]
fn an_error_whose_debug_panics_still_reaches_the_hook() {
    listen();
    paused(|| async {
        let before = told(BAD_DEBUG);
        let result = nursery!(<Supervise> async |n| -> Result<(), BadDebug> {
            let _ = n.spawn(async { Err::<(), _>(BadDebug) });
            Ok(())
        })
        .map_cancelled(|_| BadDebug)
        .await;
        assert!(result.is_ok());
        assert_eq!(told(BAD_DEBUG), before + 1);
    });
}

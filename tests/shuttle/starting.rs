//! A child that says when it is ready, against everything that may come first (P4, P5).

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, OutcomeKind, OwnedScope, Ready, Reason, Scope, StartError, scope};
use shuttle_tokio::sync::oneshot;

use crate::support::{
    Alive, Flag, Live, Seen, block_on, cancel_some_time, explore, linger, outside, pause, poll_until,
};

/// Longer than any clock here goes.
const GRACE: Duration = Duration::from_secs(3600);

#[test]
fn a_signal_that_meets_a_cancellation_is_taken_or_dropped() {
    explore(&["ready", "cancelled before"], |seen: &Seen| {
        let (live, signalled) = (Live::default(), Flag::default());
        let ready = block_on(async {
            // The caller is outside of the scope, and so there to be told.
            let owned = OwnedScope::<Cancelled>::new();
            let canceller = cancel_some_time(owned.canceller());
            let (alive, value, signal) = (live.value(), live.value(), signalled.clone());
            let started = owned.start(async move |ready: Ready<Alive>| {
                let _alive = alive;
                pause().await;
                signal.raise();
                ready.signal(value);
                pending::<()>().await;
            });
            let ready = match started.await {
                Ok((value, _child)) => {
                    drop(value);
                    true
                }
                Err(StartError::Cancelled(cancelled)) => {
                    assert_eq!(cancelled.reason(), Reason::Requested);
                    false
                }
                Err(other) => unreachable!("{other}"),
            };
            canceller.await.unwrap();
            let outcome = owned.shutdown(GRACE).await;
            assert!(outcome.failures().is_empty());
            assert_eq!(live.count(), 0, "captures and value");
            ready
        });
        assert!(!ready || signalled.is_up());
        seen.saw(if ready { "ready" } else { "cancelled before" });
    });
}

/// The child fails while somebody else signals for it: the failure is either the call's or the scope's.
pub(crate) fn signal_against_exit(seen: &Seen) {
    let live = Live::default();
    let (ready, outcome) = block_on(async {
        let (mut was_ready, mut signaller) = (None, None);
        let outcome = scope(async |s: &Scope<&'static str>| {
            let (sender, receiver) = oneshot::channel();
            let value = live.value();
            signaller = Some(outside(async move {
                if let Ok(ready) = receiver.await {
                    let ready: Ready<Alive> = ready;
                    linger().await;
                    ready.signal(value);
                }
            }));
            let started = s.start(async move |ready: Ready<Alive>| {
                let _ = sender.send(ready);
                linger().await;
                Err::<(), _>("broken")
            });
            match started.await {
                Ok((value, _child)) => {
                    drop(value);
                    was_ready = Some(true);
                    pending::<()>().await;
                }
                Err(StartError::Error("broken")) => was_ready = Some(false),
                Err(other) => unreachable!("{other}"),
            }
            Ok(())
        })
        .outcome()
        .await;
        if let Some(signaller) = signaller {
            signaller.await.unwrap();
        }
        (was_ready, outcome)
    });
    assert_eq!(live.count(), 0);
    match (ready, outcome.kind()) {
        (Some(false), OutcomeKind::Ok) => {
            assert!(outcome.failures().is_empty(), "P4: the caller has it");
            seen.saw("failed before it was ready");
        }
        (Some(true) | None, OutcomeKind::Failed) => {
            assert_eq!(outcome.failures().len(), 1, "P4: once");
            seen.saw(if ready.is_some() { "ready, then failed" } else { "failed when it was ready" });
        }
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_failure_that_meets_the_signal_goes_to_the_call_or_to_the_scope() {
    explore(&["failed before it was ready", "ready, then failed", "failed when it was ready"], signal_against_exit);
}

/// The call is dropped while the child signals.
pub(crate) fn drop_against_signal(seen: &Seen) {
    let (live, signalled, ready) = (Live::default(), Flag::default(), Flag::default());
    let result: Result<(), Cancelled> = block_on(async {
        let (enough, had_enough) = oneshot::channel::<()>();
        let impatient = outside(async move {
            linger().await;
            enough.send(())
        });
        let result = scope(async |s: &Scope<Cancelled>| {
            let (value, alive, signal) = (live.value(), live.value(), signalled.clone());
            let started = s.start(async move |ready: Ready<Alive>| {
                let _alive = alive;
                linger().await;
                ready.signal(value);
                signal.raise();
                pending::<()>().await;
            });
            if let Some(started) = poll_until(started, had_enough).await {
                let (value, child) = started.expect("nobody else stops it");
                ready.raise();
                drop(value);
                child.cancel().await;
            }
            // A child that is not stopped with its call would keep the scope open for ever.
            Ok(())
        })
        .await;
        let _ = impatient.await.unwrap();
        result
    });
    assert!(result.is_ok(), "P5: a child stopped from inside is no failure");
    assert_eq!(live.count(), 0, "the value that nobody took is dropped, and the captures");
    seen.saw(match (ready.is_up(), signalled.is_up()) {
        (true, _) => "ready",
        (false, true) => "dropped when it was ready",
        (false, false) => "dropped before",
    });
}

#[test]
fn a_call_dropped_while_its_child_signals_stops_it() {
    explore(&["ready", "dropped when it was ready", "dropped before"], drop_against_signal);
}

//! Cancellation: who is told what, and when. Cases of the table of conformance (JO).

use std::error::Error;
use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sc_tokio::{Cancelled, Canceller, Member, OutcomeKind, OwnedScope, Reason, Scope, nursery};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::{HOUR, LAYER, SECOND};
use crate::support::{Live, Log, both_flavours};

/// JO-CF-09.
#[tokio::test]
async fn a_child_behind_one_that_fails_at_once_is_never_polled() {
    let (live, polled) = (Live::new(), Arc::new(AtomicUsize::new(0)));
    let outcome = nursery!(async |n| -> Result<(), String> {
        n.spawn(async { Err::<(), _>(String::from("at once")) });
        let (guard, count) = (live.one(), Arc::clone(&polled));
        n.spawn(async move {
            count.fetch_add(1, Ordering::SeqCst);
            drop(guard);
        });
        pending().await
    })
    .outcome()
    .await;
    assert_eq!((outcome.kind(), outcome.report().cancelled), (OutcomeKind::Failed, 1));
    assert_eq!((polled.load(Ordering::SeqCst), live.count()), (0, 0));
}

#[derive(Debug)]
struct Why(u32);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "number {}", self.0)
    }
}

impl Error for Why {}

/// With a cause that can be found again, or with a text alone.
fn cancel(scope: &Scope<Cancelled>, why: Option<u32>) {
    match why {
        Some(number) => scope.cancel(Why(number)),
        None => scope.cancel("plain"),
    }
}

/// Cancels an inner and an outer scope in this order or the other; gives what each of them, the outer one first, was
/// cancelled for, and whether it was inherited.
async fn cancel_both(inner_first: bool, outer_why: Option<u32>, inner_why: Option<u32>) -> [(Option<u32>, bool); 2] {
    let mut inner_told = None;
    let outcome = nursery!(async |outer| -> Result<(), Cancelled> {
        let inner = nursery!(async |inner| -> Result<(), Cancelled> {
            if inner_first {
                cancel(inner, inner_why);
            }
            cancel(outer, outer_why);
            cancel(inner, inner_why);
            Ok(())
        });
        inner_told = inner.grace(HOUR).outcome().await.cancelled().cloned();
        Ok(())
    });
    let outcome = outcome.grace(HOUR).outcome().await;
    [outcome.cancelled().cloned(), inner_told].map(|told| {
        let told = told.expect("both are cancelled");
        (told.cause::<Why>().map(|why| why.0), told.is_inherited())
    })
}

/// JO-CP-04, JO-CP-05, JO-CP-06.
#[test]
fn of_two_cancellations_a_scope_keeps_the_one_that_reached_it_first() {
    both_flavours(|| async {
        for (outer, inner) in [(None, None), (None, Some(2)), (Some(1), None), (Some(1), Some(2))] {
            assert_eq!(cancel_both(true, outer, inner).await, [(outer, false), (inner, false)]);
            assert_eq!(cancel_both(false, outer, inner).await, [(outer, false), (outer, true)]);
        }
    });
}

/// JO-CP-10.
#[test]
fn a_sibling_is_told_whose_failure_it_is_cancelled_for() {
    both_flavours(|| async {
        let (tell, told) = oneshot::channel();
        let outcome = nursery!(async |n| -> Result<(), String> {
            n.spawn_with(async move |n: &Scope<String>| {
                let why = n.cancelled().await;
                let whose = why.culprit().and_then(Member::name).map(str::to_owned);
                let _ = tell.send((why.reason(), whose));
            });
            n.task().name("broken").spawn(async { Err::<(), _>(String::from("broken")) });
            n.cancelled().await;
            Ok(())
        })
        .grace(HOUR)
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        assert_eq!(told.await.unwrap(), (Reason::ChildFailed, Some(String::from("broken"))));
    });
}

/// JO-AF-01, JO-AF-02, JO-AF-03, JO-AF-05.
#[tokio::test(start_paused = true)]
async fn what_waits_for_the_cancellation_goes_on_once_after_it_unless_it_was_called_off() {
    let log = Log::new();
    let (called_off, waiting) = (log.clone(), log.clone());
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        // Without a grace of its own, so that it is gone when it is called off.
        let handler = n.task().grace(Duration::ZERO).spawn_with(async move |n: &Scope<Cancelled>| {
            n.cancelled().await;
            called_off.add("called off");
        });
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            n.cancelled().await;
            waiting.add("waiting");
        });
        sleep(SECOND).await;
        handler.cancel().await;
        log.add("cancel");
        for why in ["one", "two", "three"] {
            n.cancel(why);
        }
        n.cancelled().await; // late, and at once
        log.add("late");
        Ok(())
    })
    .grace(HOUR)
    .await;
    assert_eq!(log.entries(), ["cancel", "late", "waiting"]);
    assert!(result.is_ok(), "nothing was cut short");
}

/// JO-CF-08, JO-AF-07.
#[test]
fn a_token_is_cancelled_when_its_scope_has_ended_well() {
    both_flavours(|| async {
        let mut kept = None;
        nursery!(async |n| -> Result<(), Cancelled> {
            kept = Some(n.token());
            Ok(())
        })
        .await
        .unwrap();
        assert!(kept.unwrap().is_cancelled(), "whoever holds it would go on for ever");
    });
}

type Level = Pin<Box<dyn Future<Output = Result<(), Cancelled>> + Send>>;

/// What the levels of a tower share.
#[derive(Clone)]
struct Tower {
    cancelled: u32,
    button: Arc<Mutex<Option<Canceller>>>,
    told: Log,
}

impl Tower {
    fn enter(&self, level: u32, scope: &Scope<Cancelled>) {
        if level == self.cancelled {
            *self.button.lock().unwrap() = Some(scope.canceller());
        }
    }

    /// At the bottom: has the chosen level cancelled, and writes down what comes of it.
    async fn leaf(&self) -> Result<(), Cancelled> {
        let (before, button) = (LAYER.try_get().ok(), self.button.lock().unwrap().take());
        button.expect("a level above left it").cancel("by the leaf");
        let why = sc_tokio::cancelled().await;
        self.told.add(format!("{:?} {before:?} {:?}", why.origin().name(), LAYER.try_get().ok()));
        Ok(())
    }
}

/// So many levels of four kinds, each around the next: a value, a block, a child, a time-out.
fn level(left: u32, tower: Tower) -> Level {
    Box::pin(async move {
        match (left, left % 4) {
            (0, _) => tower.leaf().await,
            (_, 0) => LAYER.scope(left, level(left - 1, tower)).await,
            (_, 3) => sc_tokio::timeout(HOUR, level(left - 1, tower)).await?,
            (_, kind) => {
                let scope = nursery!(async move |n| -> Result<(), Cancelled> {
                    tower.enter(left, n);
                    let below = level(left - 1, tower);
                    if kind == 1 {
                        return below.await;
                    }
                    n.spawn(below).await;
                    Ok(())
                });
                scope.named(format!("level {left}")).grace(HOUR).await
            }
        }
    })
}

/// JO-CP-19.
#[test]
fn whichever_level_of_a_tower_is_cancelled_the_leaf_is_told_so_and_keeps_its_values() {
    const LEVELS: u32 = 32;
    both_flavours(|| async {
        for cancelled in (1..=LEVELS).filter(|left| matches!(left % 4, 1 | 2)) {
            let tower = Tower { cancelled, button: Arc::default(), told: Log::new() };
            let told = tower.told.clone();
            level(LEVELS, tower).await.unwrap();
            assert_eq!(told.entries(), [format!("Some(\"level {cancelled}\") Some(4) Some(4)")]);
        }
    });
}

/// JO-CP-20.
#[test]
fn cancelling_every_scope_of_a_tree_from_several_threads_deadlocks_nobody() {
    const SCOPES: usize = 100;
    both_flavours(|| async {
        let top = OwnedScope::<Cancelled>::new();
        let mut tree = vec![OwnedScope::<Cancelled>::under(&top)];
        for number in 1..SCOPES {
            let scope = OwnedScope::<Cancelled>::under(&tree[number / 2]);
            scope.spawn(pending::<()>());
            tree.push(scope);
        }
        let buttons: Vec<Canceller> = tree.iter().map(|scope| scope.canceller()).collect();
        // Each presses all of them, in an order of its own.
        let threads = [1, 3, 7, 9].map(|step| {
            let buttons = buttons.clone();
            std::thread::spawn(move || (0..SCOPES).for_each(|n| buttons[n * step % SCOPES].cancel("together")))
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(buttons.iter().all(Canceller::is_cancelled));
        assert_eq!(top.shutdown(Duration::ZERO).await.kind(), OutcomeKind::Ok);
        assert!(buttons.iter().all(Canceller::is_closed));
    });
}

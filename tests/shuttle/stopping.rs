//! Cancellations against each other, and against the end of what they cancel (P5, P6, P9, P10).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sc_tokio::explored::clock::{self, Instant};
use sc_tokio::explored::preempt;
use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, Scope, scope};
use shuttle_tokio::sync::oneshot;

use crate::support::{Flag, Live, Seen, block_on, explore, linger, outside, pause};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any clock here goes.
const GRACE: Duration = Duration::from_secs(3600);

/// The reasons that the members of a scope were given.
#[derive(Debug, Clone, Default)]
struct Reasons(Arc<Mutex<Vec<Reason>>>);

impl Reasons {
    fn note(&self, reason: Reason) {
        self.0.lock().unwrap().push(reason);
    }

    /// The one reason that all of them were given.
    fn only(&self) -> Reason {
        let reasons = self.0.lock().unwrap();
        let first = reasons[0];
        assert!(reasons.iter().all(|reason| *reason == first), "one cancellation, several reasons: {reasons:?}");
        first
    }
}

fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::Requested => "requested",
        Reason::Deadline => "deadline",
        Reason::External => "external",
        other => unreachable!("{other:?}"),
    }
}

/// A canceller, a deadline and a signal from outside, all at once.
pub(crate) fn three_cancellations(seen: &Seen) {
    let (reasons, live) = (Reasons::default(), Live::default());
    let (signal, signalled) = oneshot::channel::<()>();
    let outcome = block_on(async {
        let mut rivals = Vec::new();
        let outcome = scope(async |s: &Scope<Cancelled>| {
            let at_end = reasons.clone();
            s.defer(async move |end| at_end.note(end.cancelled().expect("cancelled").reason()));
            let (in_child, alive) = (reasons.clone(), live.value());
            let child = s.spawn_with(async move |s: &Scope<Cancelled>| {
                in_child.note(s.cancelled().await.reason());
                drop(alive);
            });
            drop(child);
            let (in_nested, alive) = (reasons.clone(), live.value());
            let nesting = s.spawn(async move {
                let nested = scope(async move |n: &Scope<Cancelled>| {
                    in_nested.note(n.cancelled().await.reason());
                    drop(alive);
                    Ok(())
                });
                nested.await
            });
            drop(nesting);
            let stop = s.canceller();
            rivals.push(outside(async move {
                linger().await;
                clock::advance(TIMEOUT);
            }));
            rivals.push(outside(async move {
                let _ = signal.send(());
            }));
            rivals.push(outside(async move {
                linger().await;
                stop.cancel("enough");
            }));
            reasons.note(s.cancelled().await.reason());
            Ok(())
        })
        .timeout(TIMEOUT)
        .grace(GRACE)
        .cancel_on(async move { signalled.await.unwrap_or_default() })
        .outcome()
        .await;
        assert_eq!(live.count(), 0, "the scope waited for all of it");
        for rival in rivals {
            rival.await.unwrap();
        }
        outcome
    });
    reasons.note(outcome.cancelled().expect("cancelled").reason());
    seen.saw(name(reasons.only()));
}

#[test]
fn of_three_cancellations_one_wins_everywhere() {
    explore(&["requested", "deadline", "external"], three_cancellations);
}

#[test]
fn a_deadline_moved_into_the_past_or_a_cancellation_wins() {
    explore(&["requested", "deadline"], |seen| {
        let reasons = Reasons::default();
        let (outcome, moved) = block_on(async {
            let (mut canceller, moved) = (None, Flag::default());
            let outcome = scope(async |s: &Scope<Cancelled>| {
                let stop = s.canceller();
                canceller = Some(outside(async move {
                    linger().await;
                    stop.cancel("enough");
                }));
                let (in_child, in_mover) = (reasons.clone(), moved.clone());
                let child = s.spawn_with(async move |s: &Scope<Cancelled>| {
                    if s.set_deadline(Instant::now()).is_ok() {
                        in_mover.raise();
                    }
                    in_child.note(s.cancelled().await.reason());
                });
                drop(child);
                reasons.note(s.cancelled().await.reason());
                Ok(())
            })
            .timeout(TIMEOUT)
            .grace(GRACE)
            .outcome()
            .await;
            canceller.expect("the body ran").await.unwrap();
            (outcome, moved.is_up())
        });
        reasons.note(outcome.cancelled().expect("cancelled").reason());
        let reason = reasons.only();
        assert!(moved || reason == Reason::Requested, "a deadline that was not moved did not expire");
        seen.saw(name(reason));
    });
}

#[test]
fn a_child_stopped_by_its_handle_finishes_or_is_dropped() {
    explore(&["finished", "cut short", "never polled"], |seen| {
        let (live, polled, finished) = (Live::default(), Flag::default(), Flag::default());
        let result: Result<(), Cancelled> = block_on(
            scope(async |s: &Scope<Cancelled>| {
                let (alive, output) = (live.value(), live.value());
                let (in_child, at_end) = (polled.clone(), finished.clone());
                let child = s.spawn(async move {
                    in_child.raise();
                    pause().await;
                    drop(alive);
                    at_end.raise();
                    Ok(output)
                });
                linger().await;
                child.cancel().await;
                assert_eq!(live.count(), 0, "a child that was stopped is gone when that resolves, and its output");
                Ok(())
            })
            .into_future(),
        );
        assert!(result.is_ok(), "a child stopped from inside is no failure");
        seen.saw(match (polled.is_up(), finished.is_up()) {
            (_, true) => "finished",
            (true, false) => "cut short",
            (false, false) => "never polled",
        });
    });
}

#[test]
fn a_stopped_child_ends_before_its_scope_even_if_nobody_waits_for_it() {
    explore(&["finished", "dropped"], |seen| {
        let (live, finished) = (Live::default(), Flag::default());
        let result: Result<(), Cancelled> = block_on(
            scope(async |s: &Scope<Cancelled>| {
                let (alive, output) = (live.value(), live.value());
                let at_end = finished.clone();
                let child = s.spawn(async move {
                    drop(alive);
                    at_end.raise();
                    Ok(output)
                });
                drop(child.cancel());
                Ok(())
            })
            .into_future(),
        );
        assert_eq!(live.count(), 0, "captures and output are gone before the scope resolves");
        assert!(result.is_ok(), "a child stopped from inside is no failure");
        seen.saw(if finished.is_up() { "finished" } else { "dropped" });
    });
}

/// One child stops all who are present, while the body spawns another.
fn cancel_children_against_a_spawn(seen: &Seen) {
    let (live, ran) = (Live::default(), Flag::default());
    let (spawned, was_present) = (Flag::default(), Flag::default());
    let result: Result<(), Cancelled> = block_on(
        scope(async |s: &Scope<Cancelled>| {
            let (after_spawn, present) = (spawned.clone(), was_present.clone());
            let stopper = s.spawn_with(async move |s: &Scope<Cancelled>| {
                linger().await;
                if after_spawn.is_up() {
                    present.raise();
                }
                s.cancel_children("enough of you");
            });
            let (alive, in_child) = (live.value(), ran.clone());
            let child = s.spawn(async move {
                let _alive = alive;
                for _ in 0..3 {
                    pause().await;
                }
                in_child.raise();
            });
            spawned.raise();
            let _ = stopper.join().await;
            match child.join().await {
                Ok(()) => assert!(ran.is_up()),
                Err(Failure::Cancelled(why)) => assert_eq!(why.reason(), Reason::Requested),
                Err(other) => unreachable!("{other}"),
            }
            Ok(())
        })
        .into_future(),
    );
    assert!(result.is_ok(), "children stopped from inside are no failure");
    assert_eq!(live.count(), 0);
    seen.saw(match (was_present.is_up(), ran.is_up()) {
        (true, true) => "present, and finished first",
        (true, false) => "present, and stopped",
        (false, true) => "came later, and ran",
        (false, false) => "came meanwhile, and was stopped",
    });
}

#[test]
fn cancel_children_stops_those_who_are_present() {
    let outcomes = [
        "present, and finished first",
        "present, and stopped",
        "came later, and ran",
        "came meanwhile, and was stopped",
    ];
    explore(&outcomes, cancel_children_against_a_spawn);
}

#[test]
fn a_parked_child_present_at_cancel_children_is_not_missed() {
    explore(&["present", "came later"], |seen| {
        let (live, spawned, was_present) = (Live::default(), Flag::default(), Flag::default());
        let result: Result<(), Cancelled> = block_on(
            scope(async |s: &Scope<Cancelled>| {
                let (after_spawn, present) = (spawned.clone(), was_present.clone());
                let stopper = s.spawn_with(async move |s: &Scope<Cancelled>| {
                    if after_spawn.is_up() {
                        present.raise();
                    }
                    s.cancel_children("enough of you");
                });
                let alive = live.value();
                let child = s.spawn(async move {
                    let _alive = alive;
                    std::future::pending::<()>().await;
                });
                spawned.raise();
                let _ = stopper.join().await;
                if was_present.is_up() {
                    // Missed, it would keep the scope open for ever.
                    drop(child);
                } else {
                    child.cancel().await;
                }
                Ok(())
            })
            .into_future(),
        );
        assert!(result.is_ok(), "children stopped from inside are no failure");
        assert_eq!(live.count(), 0);
        seen.saw(if was_present.is_up() { "present" } else { "came later" });
    });
}

#[test]
fn a_blocking_child_that_meets_a_cancellation_runs_or_is_dropped() {
    explore(&["ran", "told while it ran", "dropped unrun", "refused"], |seen| {
        let (live, ran, told, refused) = (Live::default(), Flag::default(), Flag::default(), Flag::default());
        let result = block_on(async {
            let mut canceller = None;
            let result = scope(async |s: &Scope<Cancelled>| {
                let stop = s.canceller();
                canceller = Some(outside(async move {
                    linger().await;
                    stop.cancel("enough");
                }));
                let (alive, in_child, is_told) = (live.value(), ran.clone(), told.clone());
                let child = s.spawn_blocking(move |cx| {
                    in_child.raise();
                    (0..8).for_each(|_| preempt());
                    if cx.is_cancelled() {
                        is_told.raise();
                    }
                    drop(alive);
                });
                if child.id().is_none() {
                    refused.raise();
                }
                drop(child);
                Ok(())
            })
            .await;
            assert_eq!(live.count(), 0, "the scope waited for the closure and its captures");
            canceller.expect("the body ran").await.unwrap();
            result
        });
        assert_eq!(result.is_ok(), ran.is_up(), "body and child were `Ok`, or something was cut short");
        seen.saw(match (refused.is_up(), ran.is_up(), told.is_up()) {
            (true, false, _) => "refused",
            (true, true, _) => unreachable!("a refused child never runs"),
            (false, true, true) => "told while it ran",
            (false, true, false) => "ran",
            (false, false, _) => "dropped unrun",
        });
    });
}

#[test]
fn daemons_end_by_themselves_or_are_stopped_newest_first() {
    explore(&["both stopped", "one stopped", "none stopped"], |seen| {
        let (live, order) = (Live::default(), Arc::new(Mutex::new(Vec::new())));
        let result: Result<(), Cancelled> = block_on(
            scope(async |s: &Scope<Cancelled>| {
                for number in 0..2 {
                    let (alive, stopped) = (live.value(), Stopped { number, order: Arc::clone(&order) });
                    let daemon = s.task().daemon().spawn(async move {
                        let _alive = alive;
                        pause().await;
                        std::mem::forget(stopped);
                    });
                    drop(daemon);
                }
                let last = s.spawn(pause());
                drop(last);
                Ok(())
            })
            .into_future(),
        );
        assert!(result.is_ok(), "daemons stopped at the end are no failure");
        assert_eq!(live.count(), 0, "the scope waited for its daemons");
        let order = order.lock().unwrap();
        assert!(order.is_sorted_by(|a, b| a > b), "newest first, one by one: {order:?}");
        seen.saw(["none stopped", "one stopped", "both stopped"][order.len()]);
    });
}

/// Notes that a daemon was dropped, unless it came to its end and forgot this.
struct Stopped {
    number: usize,
    order: Arc<Mutex<Vec<usize>>>,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.order.lock().unwrap().push(self.number);
    }
}

#[test]
fn a_scope_opened_while_its_parent_is_cancelled_is_told() {
    explore(&["opened before", "opened after"], |seen| {
        let (reasons, after) = (Reasons::default(), Flag::default());
        let result: Result<(), Cancelled> = block_on(async {
            let mut canceller = None;
            let result = scope(async |s: &Scope<Cancelled>| {
                let stop = s.canceller();
                canceller = Some(outside(async move {
                    linger().await;
                    stop.cancel("enough");
                }));
                linger().await;
                if s.is_cancelled() {
                    after.raise();
                }
                let nested = scope(async |n: &Scope<Cancelled>| {
                    reasons.note(n.cancelled().await.reason());
                    Ok(())
                });
                // Not told, it would wait for ever.
                nested.await
            })
            .grace(GRACE)
            .await;
            canceller.expect("the body ran").await.unwrap();
            result
        });
        assert!(result.is_ok(), "a body that is done in its grace was not cut short");
        assert_eq!(reasons.only(), Reason::Requested, "inherited unchanged");
        seen.saw(if after.is_up() { "opened after" } else { "opened before" });
    });
}

#[test]
fn a_cancelled_tree_ends_from_the_leaves_up() {
    explore(&["all ran", "cut short"], |seen| {
        let (live, finished) = (Live::default(), Flag::default());
        let outcome = block_on(async {
            let mut canceller = None;
            let outcome = scope(async |s: &Scope<Cancelled>| {
                let stop = s.canceller();
                canceller = Some(outside(async move {
                    linger().await;
                    stop.cancel("enough");
                }));
                let (live, at_end) = (live.clone(), finished.clone());
                let branch = s.spawn(async move {
                    let nested = scope(async |n: &Scope<Cancelled>| {
                        let (leaf_alive, at_end) = (live.value(), at_end.clone());
                        let leaf = n.spawn(async move {
                            pause().await;
                            drop(leaf_alive);
                            at_end.raise();
                        });
                        drop(leaf);
                        Ok(())
                    });
                    nested.await
                });
                drop(branch);
                Ok(())
            })
            .outcome()
            .await;
            assert_eq!(live.count(), 0, "no leaf outlives the root");
            canceller.expect("the body ran").await.unwrap();
            outcome
        });
        if finished.is_up() {
            seen.saw("all ran");
        } else {
            assert_eq!(outcome.kind(), OutcomeKind::Cancelled);
            seen.saw("cut short");
        }
    });
}

//! Time against everything else: failures, moved deadlines, scopes that open, graces (P5, P8, P9).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sc_tokio::explored::clock::{self, Instant};
use sc_tokio::explored::preempt;
use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, Scope, ScopeId, scope};

use crate::support::{Flag, Live, Seen, a_few, block_on, explore, explore_more, linger, outside, pause};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any clock here goes.
const GRACE: Duration = Duration::from_secs(3600);

/// What a scope's error is made from.
#[derive(Debug, PartialEq)]
enum Error {
    Own(&'static str),
    Cancelled(Reason, ScopeId),
}

impl From<Cancelled> for Error {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled.reason(), cancelled.origin().id())
    }
}

/// Two scopes fail at once below the same one.
pub(crate) fn two_scopes_fail(seen: &Seen) {
    let (live, failed) = (Live::default(), Arc::new(Mutex::new(Vec::new())));
    let outcome = block_on(
        scope(async |s: &Scope<Error>| {
            for name in ["a", "b"] {
                let (live, failed) = (live.clone(), Arc::clone(&failed));
                drop(s.spawn(async move {
                    let (alive, bystander) = (live.value(), live.value());
                    let noted = Arc::clone(&failed);
                    let result: Result<(), Error> = scope(async |n: &Scope<Error>| {
                        drop(n.spawn(async move {
                            let _alive = bystander;
                            std::future::pending::<()>().await;
                        }));
                        drop(n.spawn(async move {
                            let _alive = alive;
                            noted.lock().unwrap().push(name);
                            Err::<(), _>(Error::Own(name))
                        }));
                        Ok(())
                    })
                    .await;
                    result
                }));
            }
            Ok(())
        })
        .outcome(),
    );
    assert_eq!(live.count(), 0, "P1");
    assert_eq!(outcome.kind(), OutcomeKind::Failed);
    let failed = failed.lock().unwrap();
    let errors = outcome.failures().iter().filter_map(Failure::as_error);
    // A child that makes an error of its own from the cancellation has failed after it was told: never as the first.
    let names: Vec<&str> = errors
        .enumerate()
        .filter_map(|(index, error)| match error {
            Error::Own(name) => Some(*name),
            Error::Cancelled(reason, _) => {
                assert!(index > 0, "P5: a cancellation from above is no failure");
                assert_eq!(*reason, Reason::ChildFailed);
                None
            }
        })
        .collect();
    assert!(names.iter().all(|name| failed.contains(name)));
    seen.saw(match *names {
        ["a"] => "a",
        ["b"] => "b",
        ["a", "b"] => "a, then b",
        ["b", "a"] => "b, then a",
        _ => unreachable!("{names:?}"),
    });
}

#[test]
fn of_two_scopes_that_fail_the_first_one_cancels_the_other() {
    explore(&["a", "b", "a, then b", "b, then a"], two_scopes_fail);
}

#[test]
fn a_failure_that_meets_a_deadline_is_delivered_and_one_of_them_is_the_reason() {
    explore(&["failed first", "failed when it expired", "expired"], |seen: &Seen| {
        let failed = Flag::default();
        let outcome = block_on(async {
            let mut rival = None;
            let outcome = scope(async |s: &Scope<&'static str>| {
                rival = Some(outside(async {
                    linger().await;
                    clock::advance(TIMEOUT);
                }));
                let fail = failed.clone();
                drop(s.spawn(async move {
                    linger().await;
                    fail.raise();
                    Err::<(), _>("broken")
                }));
                Ok(())
            })
            .timeout(TIMEOUT)
            .outcome()
            .await;
            rival.expect("the body ran").await.unwrap();
            outcome
        });
        let reason = outcome.cancelled().expect("by the one or the other").reason();
        assert_eq!(outcome.failures().len(), usize::from(failed.is_up()), "P4: what failed is delivered");
        seen.saw(match (failed.is_up(), reason, outcome.kind()) {
            (true, Reason::ChildFailed, OutcomeKind::Failed) => "failed first",
            (true, Reason::Deadline, OutcomeKind::DeadlineExceeded) => "failed when it expired",
            (false, Reason::Deadline, OutcomeKind::DeadlineExceeded) => "expired",
            other => unreachable!("{other:?}"),
        });
    });
}

#[test]
fn a_deadline_moved_while_it_expires_is_moved_or_has_expired() {
    explore(&["moved", "had expired"], |seen: &Seen| {
        let moved = Flag::default();
        let outcome = block_on(async {
            let mut rival = None;
            let outcome = scope(async |s: &Scope<Cancelled>| {
                let begun = Instant::now();
                let first = outside(async {
                    linger().await;
                    clock::advance(TIMEOUT);
                });
                let mover = moved.clone();
                let child = s.spawn_with(async move |s: &Scope<Cancelled>| {
                    linger().await;
                    if s.set_deadline(begun + 2 * TIMEOUT).is_ok() {
                        mover.raise();
                    }
                });
                drop(child);
                rival = Some(outside(async move {
                    first.await.unwrap();
                    linger().await;
                    clock::advance(TIMEOUT);
                }));
                let cancelled = s.cancelled().await;
                assert_eq!(cancelled.reason(), Reason::Deadline);
                let at = begun + if moved.is_up() { 2 * TIMEOUT } else { TIMEOUT };
                assert!(Instant::now() >= at, "a deadline that was moved expires when it was moved to");
                Ok(())
            })
            .timeout(TIMEOUT)
            .grace(GRACE)
            .outcome()
            .await;
            rival.expect("the body ran").await.unwrap();
            outcome
        });
        assert_eq!(outcome.cancelled().map(Cancelled::reason), Some(Reason::Deadline));
        seen.saw(if moved.is_up() { "moved" } else { "had expired" });
    });
}

#[test]
fn a_scope_opened_while_a_deadline_is_set_has_it() {
    explore(&["set before", "set after"], |seen: &Seen| {
        let (set, was_set) = (Flag::default(), Flag::default());
        let outcome = block_on(async {
            let outcome = scope(async |s: &Scope<Cancelled>| {
                let at = Instant::now() + TIMEOUT;
                let setter = set.clone();
                let setting = s.spawn_with(async move |s: &Scope<Cancelled>| {
                    linger().await;
                    s.set_deadline(at).expect("nothing has expired");
                    setter.raise();
                });
                let (set, before) = (set.clone(), was_set.clone());
                drop(s.spawn(async move {
                    linger().await;
                    let is_set = set.is_up();
                    let nested = scope(async |n: &Scope<Cancelled>| {
                        if is_set {
                            before.raise();
                        }
                        // Without the deadline it would wait for ever.
                        let cancelled = n.cancelled().await;
                        assert_eq!(cancelled.reason(), Reason::Deadline);
                        assert_eq!(n.deadline(), Some(at));
                        Ok::<_, Cancelled>(())
                    })
                    .grace(GRACE);
                    nested.await
                }));
                setting.await;
                linger().await;
                clock::advance(TIMEOUT);
                Ok(())
            })
            .grace(GRACE)
            .outcome()
            .await;
            outcome
        });
        assert_eq!(outcome.cancelled().map(Cancelled::reason), Some(Reason::Deadline));
        seen.saw(if was_set.is_up() { "set before" } else { "set after" });
    });
}

/// Two move the same deadline, and a scope below has what came out.
pub(crate) fn two_set_the_deadline(seen: &Seen) {
    let later = Flag::default();
    let result: Result<(), Cancelled> = block_on(
        scope(async |s: &Scope<Cancelled>| {
            let now = Instant::now();
            let later = later.clone();
            scope(async |n: &Scope<Cancelled>| {
                let (early, late) = (now + TIMEOUT, now + 2 * TIMEOUT);
                // They move the outer one.
                let movers = [early, late].map(|at| {
                    s.spawn_with(async move |s: &Scope<Cancelled>| s.set_deadline(at).expect("nothing has expired"))
                });
                for mover in movers {
                    mover.await;
                }
                assert_eq!(n.deadline(), s.deadline(), "P8: the scope below has the deadline of the one above");
                if s.deadline() == Some(late) {
                    later.raise();
                }
                Ok(())
            })
            .await
        })
        .into_future(),
    );
    assert!(result.is_ok());
    seen.saw(if later.is_up() { "the later one" } else { "the earlier one" });
}

#[test]
fn of_two_who_move_a_deadline_the_last_one_has_moved_it_below_too() {
    explore_more(2, &["the later one", "the earlier one"], two_set_the_deadline);
}

#[test]
fn of_two_deadlines_at_the_same_instant_the_outer_one_expires() {
    explore(&["the outer one noticed first", "the inner one noticed first"], |seen: &Seen| {
        let order = Arc::new(Mutex::new(Vec::new()));
        block_on(async {
            let mut rival = None;
            let outcome = scope(async |s: &Scope<Cancelled>| {
                let at = Instant::now() + TIMEOUT;
                s.set_deadline(at).expect("it is to come");
                let (outer, inner) = (s.id(), Arc::clone(&order));
                drop(s.spawn(async move {
                    let nested = scope(async |n: &Scope<Cancelled>| {
                        let cancelled = n.cancelled().await;
                        assert_eq!((cancelled.reason(), cancelled.origin().id()), (Reason::Deadline, outer), "P8");
                        inner.lock().unwrap().push("the inner one noticed first");
                        Ok::<_, Cancelled>(())
                    });
                    nested.deadline(at).grace(GRACE).await
                }));
                rival = Some(outside(async {
                    linger().await;
                    clock::advance(TIMEOUT);
                }));
                assert_eq!(s.cancelled().await.origin().id(), outer);
                order.lock().unwrap().push("the outer one noticed first");
                Ok(())
            })
            .grace(GRACE)
            .outcome()
            .await;
            assert_eq!(outcome.cancelled().map(Cancelled::reason), Some(Reason::Deadline));
            rival.expect("the body ran").await.unwrap();
        });
        // The nested scope may open too late for its body to see anything.
        seen.saw(order.lock().unwrap()[0]);
    });
}

/// A grace is over while the child that has it comes to its end. `own`: it is the child's own.
fn grace_against_end(seen: &Seen, own: bool) {
    let (live, finished, bystander) = (Live::default(), Flag::default(), Flag::default());
    block_on(async {
        let mut rival = None;
        let shared = if own { GRACE } else { TIMEOUT };
        let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
            let (alive, finish) = (live.value(), finished.clone());
            let task = if own { s.task().grace(TIMEOUT) } else { s.task() };
            drop(task.spawn(async move {
                let _alive = alive;
                sc_tokio::cancelled().await;
                linger().await;
                finish.raise();
            }));
            let (alive, in_grace) = (live.value(), bystander.clone());
            drop(s.spawn(async move {
                let _alive = alive;
                sc_tokio::cancelled().await;
                (0..a_few()).for_each(|_| preempt());
                in_grace.raise();
            }));
            pause().await;
            s.cancel("enough");
            rival = Some(outside(async {
                linger().await;
                clock::advance(TIMEOUT);
            }));
            Ok(())
        })
        .grace(shared)
        .await;
        assert_eq!(live.count(), 0, "P1");
        rival.expect("the body ran").await.unwrap();
        assert!(!own || bystander.is_up(), "whose grace is not over goes on");
        assert_eq!(result.is_ok(), finished.is_up() && bystander.is_up(), "P9: cut short, or not");
    });
    seen.saw(if finished.is_up() { "finished" } else { "dropped" });
}

#[test]
fn a_child_ends_in_its_own_grace_or_is_dropped() {
    explore(&["finished", "dropped"], |seen: &Seen| grace_against_end(seen, true));
}

#[test]
fn a_child_ends_in_the_scopes_grace_or_is_dropped() {
    explore(&["finished", "dropped"], |seen: &Seen| grace_against_end(seen, false));
}

/// All who are present are told to stop, one of them with a grace of its own, while that is over.
#[test]
fn a_grace_of_cancel_children_is_over_while_its_child_ends() {
    explore(&["finished", "dropped"], |seen: &Seen| {
        let (live, finished) = (Live::default(), Flag::default());
        let result: Result<(), Cancelled> = block_on(async {
            let mut rival = None;
            let result = scope(async |s: &Scope<Cancelled>| {
                let (alive, finish) = (live.value(), finished.clone());
                let child = s.task().grace(TIMEOUT).spawn(async move {
                    let _alive = alive;
                    sc_tokio::cancelled().await;
                    linger().await;
                    finish.raise();
                });
                linger().await;
                s.cancel_children("all of you");
                rival = Some(outside(async {
                    linger().await;
                    clock::advance(TIMEOUT);
                }));
                let _ = child.join().await;
                Ok(())
            })
            .await;
            assert_eq!(live.count(), 0, "P1");
            rival.expect("the body ran").await.unwrap();
            result
        });
        assert!(result.is_ok(), "children stopped from inside are no failure");
        seen.saw(if finished.is_up() { "finished" } else { "dropped" });
    });
}

//! Sets of tasks whose results are drained while they come (P1, P4, P9).

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sc_tokio::{Cancelled, Failure, Limit, OutcomeKind, Reason, Scope, scope};
use shuttle_tokio::sync::oneshot;

use crate::support::{Live, Seen, block_on, cancel_some_time, explore, linger, outside, pause, poll_until};

#[test]
fn results_come_once_each_in_whatever_order_they_end() {
    explore(&["in order", "in another order"], |seen: &Seen| {
        let mut order = Vec::new();
        let result: Result<(), Cancelled> = block_on(
            scope(async |s: &Scope<Cancelled>| {
                let mut set = s.join_set();
                for number in 0..3 {
                    drop(set.spawn(async move {
                        linger().await;
                        Ok(number)
                    }));
                }
                while let Some(number) = set.join_next().await {
                    order.push(number.expect("nobody failed"));
                }
                Ok(())
            })
            .into_future(),
        );
        assert!(result.is_ok());
        seen.saw(if order == [0, 1, 2] { "in order" } else { "in another order" });
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2], "each of them once");
    });
}

/// All tasks of a set are told to stop, while they end.
pub(crate) fn abort_all_against_exits(seen: &Seen) {
    let live = Live::default();
    let mut ended = 0;
    let result: Result<(), Cancelled> = block_on(
        scope(async |s: &Scope<Cancelled>| {
            let mut set = s.join_set();
            for _ in 0..2 {
                let (alive, output) = (live.value(), live.value());
                drop(set.spawn(async move {
                    pause().await;
                    drop(alive);
                    Ok(output)
                }));
            }
            let alive = live.value();
            drop(set.spawn(async move {
                let alive = alive;
                pending::<()>().await;
                Ok(alive)
            }));
            linger().await;
            set.abort_all();
            let mut results = 0;
            while let Some(result) = set.join_next().await {
                results += 1;
                match result {
                    Ok(output) => {
                        drop(output);
                        ended += 1;
                    }
                    Err(Failure::Cancelled(why)) => assert_eq!(why.reason(), Reason::Requested),
                    Err(other) => unreachable!("{other}"),
                }
            }
            assert_eq!(results, 3, "each has a result");
            assert_eq!(live.count(), 0, "captures and outputs");
            Ok(())
        })
        .into_future(),
    );
    assert!(result.is_ok(), "P5: tasks stopped from inside are no failure");
    seen.saw(["none ended", "one ended", "both ended"][ended]);
}

#[test]
fn a_set_told_to_stop_while_its_tasks_end_gives_a_result_of_each() {
    explore(&["none ended", "one ended", "both ended"], abort_all_against_exits);
}

#[test]
fn a_set_dropped_while_its_tasks_end_leaves_nothing_behind() {
    explore(&["dropped with all", "dropped with some", "dropped with none"], |seen: &Seen| {
        let live = Live::default();
        let mut left = 0;
        let result: Result<(), Cancelled> = block_on(
            scope(async |s: &Scope<Cancelled>| {
                let mut set = s.join_set();
                for _ in 0..2 {
                    let output = live.value();
                    drop(set.spawn(async move {
                        pause().await;
                        Ok(output)
                    }));
                }
                linger().await;
                while let Some(result) = set.try_join_next() {
                    drop(result);
                }
                left = set.len();
                drop(set);
                Ok(())
            })
            .into_future(),
        );
        assert_eq!(live.count(), 0, "P1: outputs that nobody took are dropped before the scope resolves");
        assert!(result.is_ok(), "P5");
        seen.saw(["dropped with none", "dropped with some", "dropped with all"][left]);
    });
}

/// Somebody drains a set and gives up waiting: no result is lost by it.
#[test]
fn a_result_that_meets_the_end_of_the_waiting_is_kept() {
    explore(&["waited", "gave up"], |seen: &Seen| {
        let live = Live::default();
        let mut waited = false;
        let result: Result<(), Cancelled> = block_on(async {
            let (enough, had_enough) = oneshot::channel::<()>();
            let impatient = outside(async move {
                linger().await;
                enough.send(())
            });
            let result = scope(async |s: &Scope<Cancelled>| {
                let mut set = s.join_set();
                let output = live.value();
                drop(set.spawn(async move {
                    linger().await;
                    Ok(output)
                }));
                let first = poll_until(set.join_next(), had_enough).await;
                waited = first.is_some();
                let outputs = usize::from(first.flatten().is_some_and(|first| first.is_ok()));
                let rest = set.join_all().await.into_iter().filter(Result::is_ok).count();
                assert_eq!(outputs + rest, 1);
                Ok(())
            })
            .await;
            let _ = impatient.await.unwrap();
            result
        });
        assert!(result.is_ok() && live.count() == 0);
        seen.saw(if waited { "waited" } else { "gave up" });
    });
}

/// Who drains the set is in a task of its own; the tasks of the set fail, and the scope with the first of them.
pub(crate) fn drained_while_failing(seen: &Seen) {
    let live = Live::default();
    let outcome = block_on(
        scope(async |s: &Scope<&'static str>| {
            let in_drainer = live.clone();
            drop(s.spawn_with(async move |s: &Scope<&'static str>| {
                let mut set = s.join_set();
                for name in ["a", "b"] {
                    let alive = in_drainer.value();
                    drop(set.spawn(async move {
                        let _alive = alive;
                        pause().await;
                        Err::<(), _>(name)
                    }));
                }
                while let Some(result) = set.join_next().await {
                    assert!(matches!(result, Err(Failure::OwnedByScope | Failure::Cancelled(_))), "{result:?}");
                }
            }));
            Ok(())
        })
        .outcome(),
    );
    assert_eq!((outcome.kind(), live.count()), (OutcomeKind::Failed, 0));
    let errors: Vec<_> = outcome.failures().iter().filter_map(Failure::as_error).copied().collect();
    seen.saw(match *errors {
        ["a"] => "a",
        ["b"] => "b",
        ["a", "b"] | ["b", "a"] => "both",
        _ => unreachable!("{errors:?}"),
    });
}

#[test]
fn tasks_that_fail_while_their_set_is_drained_fail_the_scope() {
    explore(&["a", "b", "both"], drained_while_failing);
}

#[test]
fn isolated_failures_come_out_of_the_set_and_go_nowhere_else() {
    explore(&["a first", "b first"], |seen: &Seen| {
        let mut order = Vec::new();
        let outcome = block_on(
            scope(async |s: &Scope<&'static str>| {
                let mut set = s.join_set().isolated();
                for name in ["a", "b"] {
                    drop(set.spawn(async move {
                        linger().await;
                        Err::<(), _>(name)
                    }));
                }
                while let Some(result) = set.join_next().await {
                    order.push(*result.unwrap_err().as_error().expect("the error itself"));
                }
                Ok(())
            })
            .outcome(),
        );
        assert_eq!(outcome.kind(), OutcomeKind::Ok);
        assert!(outcome.failures().is_empty(), "P4: the set has given them");
        seen.saw(match *order {
            ["a", "b"] => "a first",
            ["b", "a"] => "b first",
            _ => unreachable!("{order:?}"),
        });
    });
}

#[test]
fn a_limited_set_keeps_no_more_results_than_there_are_seats() {
    explore(&["drained", "dropped when full"], |seen: &Seen| {
        let (limit, kept) = (Limit::new(1), Arc::new(AtomicUsize::new(0)));
        let mut drained = true;
        let result: Result<(), Cancelled> = block_on(async {
            let (enough, had_enough) = oneshot::channel::<()>();
            let impatient = outside(async move {
                linger().await;
                linger().await;
                enough.send(())
            });
            let result = scope(async |s: &Scope<Cancelled>| {
                let mut set = s.join_set();
                for _ in 0..3 {
                    let kept = Arc::clone(&kept);
                    drop(set.spawn(async move {
                        pause().await;
                        let before = kept.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(before, 0, "a result keeps its seat until it is taken");
                        Ok(())
                    }));
                }
                let mut had_enough = std::pin::pin!(had_enough);
                for _ in 0..3 {
                    // Taken off before the seat comes free.
                    let taken = Arc::clone(&kept);
                    let next = std::future::poll_fn(|cx| {
                        let taken_before = taken.swap(0, Ordering::SeqCst);
                        let next = set.poll_join_next(cx);
                        if next.is_pending() {
                            taken.fetch_max(taken_before, Ordering::SeqCst);
                        }
                        next
                    });
                    if poll_until(next, &mut had_enough).await.is_none() {
                        drained = false;
                        break;
                    }
                }
                drop(set);
                Ok(())
            })
            .limit(&limit)
            .await;
            let _ = impatient.await.unwrap();
            result
        });
        assert!(result.is_ok());
        assert_eq!((limit.available(), limit.queued()), (1, 0), "a seat was lost");
        seen.saw(if drained { "drained" } else { "dropped when full" });
    });
}

#[test]
fn a_set_drained_by_a_child_while_the_scope_is_cancelled_ends_with_it() {
    explore(&["all came", "cut short"], |seen: &Seen| {
        let live = Live::default();
        let result: Result<(), Cancelled> = block_on(async {
            let mut canceller = None;
            let result = scope(async |s: &Scope<Cancelled>| {
                canceller = Some(cancel_some_time(s.canceller()));
                let live = live.clone();
                drop(s.spawn_with(async move |s: &Scope<Cancelled>| {
                    let mut set = s.join_set();
                    for _ in 0..2 {
                        let output = live.value();
                        drop(set.spawn(async move {
                            pause().await;
                            Ok(output)
                        }));
                    }
                    while set.join_next().await.is_some() {}
                }));
                Ok(())
            })
            .await;
            assert_eq!(live.count(), 0, "P1");
            canceller.expect("the body ran").await.unwrap();
            result
        });
        seen.saw(if result.is_ok() { "all came" } else { "cut short" });
    });
}

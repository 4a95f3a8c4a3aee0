//! Losers are cancelled and joined (P1), with a grace if they were given one; and joins that are dropped half-way (P3).

use std::future::{IntoFuture, pending};
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use sc_tokio::{Cancelled, Reason, Scope, join, nursery};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::{SECOND, both_ways};
use crate::support::{Live, Log, both_flavours};

/// A group of which the last one ends by itself, as `wins` says, and every one has a guard and a task of its own.
fn group(live: &Live, wins: bool) -> impl Iterator<Item = impl Future<Output = anyhow::Result<u8>> + Send + 'static> {
    let guards: Vec<_> = (0..8).map(|n| (n, live.one(), live.one())).collect();
    guards.into_iter().map(move |(n, guard, inner)| async move {
        let _guard = guard;
        nursery!(async |scope| -> anyhow::Result<u8> {
            scope.spawn(async move {
                let _inner = inner;
                if n < 7 {
                    pending::<()>().await;
                }
            });
            yield_now().await;
            match (n, wins) {
                (7, true) => Ok(n),
                (7, false) => anyhow::bail!("the last"),
                _ => pending().await,
            }
        })
        .await
    })
}

#[test]
fn losers_and_what_they_have_spawned_are_gone_when_the_result_is_there() {
    both_flavours(|| async {
        for _ in 0..50 {
            let live = Live::new();
            both_ways!(race = join::first_ok(group(&live, true)) => {
                assert_eq!(race.await.unwrap(), 7);
                assert_eq!(live.count(), 0, "P1");
            });
            both_ways!(all = join::all(group(&live, false)) => {
                assert_eq!(all.await.unwrap_err().to_string(), "the last");
                assert_eq!(live.count(), 0, "P1");
            });
            both_ways!(quorum = join::quorum(1, group(&live, true)) => {
                assert_eq!(quorum.await.unwrap(), [7]);
                assert_eq!(live.count(), 0, "P1");
            });
        }
    });
}

#[test]
fn the_values_of_losers_are_gone_too() {
    both_flavours(|| async {
        for _ in 0..50 {
            let live = Live::new();
            let outputs = || {
                [0, 1, 2, 3].map(|_| {
                    let live = live.clone();
                    async move {
                        yield_now().await;
                        Ok::<_, Cancelled>(live.one())
                    }
                })
            };
            both_ways!(race = join::first_ok(outputs()) => {
                let winner = race.await.unwrap();
                assert_eq!(live.count(), 1);
                drop(winner);
            });
        }
    });
}

#[tokio::test(start_paused = true)]
async fn losers_have_the_joins_grace_to_tidy_up_in() {
    let log = Log::new();
    let group = || {
        [0, 1].map(|n| {
            let log = log.clone();
            async move {
                if n == 1 {
                    sleep(SECOND).await;
                    return Ok::<_, Cancelled>(n);
                }
                let why = sc_tokio::cancelled().await;
                assert_eq!((why.reason(), why.is_inherited()), (Reason::Requested, false));
                sleep(SECOND).await;
                log.add("tidied");
                pending().await
            }
        })
    };
    both_ways!(race = join::first_ok(group()).grace(4 * SECOND) => {
        let start = Instant::now();
        assert_eq!(race.await.unwrap(), 1, "decided early, returned late (P5)");
        assert_eq!(start.elapsed(), 5 * SECOND);
    });
    assert_eq!(log.entries(), ["tidied", "tidied"]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_while_losers_are_waited_for_changes_nothing() {
    let group = || {
        [1, 60].map(|seconds| async move {
            sleep(seconds * SECOND).await;
            Ok::<_, Cancelled>(seconds)
        })
    };
    both_ways!(race = join::first_ok(group()).grace(10 * SECOND).timeout(2 * SECOND) => {
        let start = Instant::now();
        assert_eq!(race.await.unwrap(), 1);
        assert_eq!(start.elapsed(), 11 * SECOND);
    });
}

#[test]
fn a_join_dropped_half_way_is_joined_through_the_scope_around_it() {
    both_flavours(|| async {
        for parallel in [false, true] {
            let (live, queued) = (Live::new(), Live::new());
            nursery!(async |_n: &Scope<Cancelled>| {
                let children = (0..10).map(|n| {
                    let guard = if n < 4 { live.one() } else { queued.one() };
                    async move {
                        let _guard = guard;
                        pending::<Result<(), Cancelled>>().await
                    }
                });
                let all = join::all(children.collect::<Vec<_>>()).limit(4);
                let mut all = if parallel { all.parallel() } else { all }.into_future();
                assert!(futures::poll!(&mut all).is_pending());
                yield_now().await;
                assert_eq!((live.count(), queued.count()), (4, 6));
                drop(all);
                assert_eq!(queued.count(), 0, "those that were not started go at once");
                if !parallel {
                    assert_eq!(live.count(), 0, "those in this task, too");
                }
                Ok(())
            })
            .await
            .unwrap();
            assert_eq!(live.count(), 0, "the rest is waited for (P3)");
        }
    });
}

#[test]
fn results_that_nobody_has_looked_at_go_with_a_dropped_join() {
    both_flavours(|| async {
        let live = Live::new();
        nursery!(async |_n: &Scope<Cancelled>| {
            let first = live.one();
            let children = [async { Ok(first) }.boxed(), pending::<Result<_, Cancelled>>().boxed()];
            let mut all = join::settle(children).parallel().into_future();
            for _ in 0..20 {
                assert!(futures::poll!(&mut all).is_pending());
                yield_now().await;
            }
            assert_eq!(live.count(), 1);
            drop(all);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn a_join_that_loses_a_select_leaves_nothing() {
    both_flavours(|| async {
        let live = Live::new();
        nursery!(async |_n: &Scope<Cancelled>| {
            let guard = live.one();
            let endless = join::for_each([guard], async |guard| {
                let _guard = guard;
                pending::<Result<(), Cancelled>>().await
            });
            tokio::select! {
                biased;
                ended = endless.into_future() => panic!("{ended:?}"),
                () = yield_now() => {}
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn a_task_that_a_child_started_is_joined_and_its_panic_ends_all_but_not_a_race() {
    both_flavours(|| async {
        let live = Live::new();
        let group = || {
            [true, false].map(|panics| {
                let (task, guard) = (live.one(), live.one());
                async move {
                    let _guard = guard;
                    let _task = sc_tokio::spawn(async move {
                        let _task = task;
                        assert!(!panics, "a task");
                    });
                    for _ in 0..20 {
                        yield_now().await;
                    }
                    if panics { pending().await } else { Ok::<_, Cancelled>(1) }
                }
            })
        };
        both_ways!(race = join::first_ok(group()) => {
            assert_eq!(race.await.unwrap(), 1);
            assert_eq!(live.count(), 0);
        });
        both_ways!(all = join::all(group()) => {
            let payload = AssertUnwindSafe(all.into_future()).catch_unwind().await.unwrap_err();
            assert!(payload.downcast_ref::<String>().is_some_and(|text| text.contains("a task")));
            assert_eq!(live.count(), 0);
        });
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a destructor");
    }
}

#[test]
fn a_destructors_panic_is_the_childs_failure() {
    both_flavours(|| async {
        let bombs = || {
            [Bomb].map(|bomb| async move {
                let _bomb = bomb;
                yield_now().await;
                Ok::<_, Cancelled>(())
            })
        };
        both_ways!(settle = join::settle(bombs()) => {
            let settled = settle.await;
            let [Err(failure)] = &settled[..] else { panic!("{settled:?}") };
            assert_eq!(failure.as_panic().and_then(sc_tokio::Panic::message), Some("a destructor"));
        });
    });
}

#[test]
fn destructors_that_panic_do_not_disturb_a_decision_or_a_drop() {
    both_flavours(|| async {
        let group = || {
            [true, false, false].map(|wins| {
                let bomb = if wins { None } else { Some(Bomb) };
                async move {
                    let _bomb = bomb;
                    yield_now().await;
                    if wins { Ok::<_, Cancelled>(1) } else { pending().await }
                }
            })
        };
        both_ways!(race = join::first_ok(group()) => {
            assert_eq!(race.await.unwrap(), 1);
        });
        // Two in flight, one not started.
        both_ways!(race = join::first_ok(group().into_iter().rev()).limit(2) => {
            let mut race = race.into_future();
            assert!(futures::poll!(&mut race).is_pending());
            drop(race);
        });
    });
}

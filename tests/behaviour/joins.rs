//! `join`: groups of futures as scopes of their own. Here: who decides, what comes out, in which order.

mod cuts;
mod joiners;
mod losers;
mod sources;
mod telling;

use std::future::{IntoFuture, pending};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use sc_tokio::{Cancelled, Failure, RaceError, join, nursery};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

pub(crate) use telling::losses_go_to_the_hook;

use crate::support::{Live, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

/// Ends after so many seconds, with its name.
async fn after(seconds: u32, name: &'static str) -> Result<&'static str, anyhow::Error> {
    sleep(seconds * SECOND).await;
    Ok(name)
}

async fn fails_after(seconds: u32, name: &'static str) -> Result<&'static str, anyhow::Error> {
    sleep(seconds * SECOND).await;
    Err(anyhow::anyhow!(name))
}

/// Both in one list.
fn runs(
    seconds: u32,
    name: &'static str,
    succeeds: bool,
) -> futures::future::BoxFuture<'static, anyhow::Result<&'static str>> {
    if succeeds { after(seconds, name).boxed() } else { fails_after(seconds, name).boxed() }
}

/// Runs a join both in the caller's task and in parallel.
macro_rules! both_ways {
    ($join:ident = $builder:expr => $test:block) => {{
        {
            let $join = $builder;
            $test
        }
        {
            let $join = $builder.parallel();
            $test
        }
    }};
}
pub(crate) use both_ways;

#[test]
fn all_gives_the_values_in_the_order_of_the_input() {
    both_flavours(|| async {
        let slow_first = |n: usize| async move {
            for _ in 0..(10 - n) {
                yield_now().await;
            }
            Ok::<_, Cancelled>(n)
        };
        both_ways!(all = join::all((0..10).map(slow_first)) => {
            assert_eq!(all.await.unwrap(), (0..10).collect::<Vec<_>>());
        });
    });
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_in_time_ends_all_and_is_the_result() {
    both_ways!(all = join::all([runs(3, "a", true), runs(2, "b", false), runs(1, "c", false), runs(60, "d", true)]) => {
            let start = Instant::now();
            assert_eq!(all.await.unwrap_err().to_string(), "c");
            assert_eq!(start.elapsed(), SECOND);
        }
    );
}

#[tokio::test(start_paused = true)]
async fn settle_gives_everybodys_result_and_ends_nobody() {
    let panics = || async { panic!("for {}", "settle") };
    both_ways!(settle = join::settle([runs(2, "a", true), runs(1, "b", false), panics().boxed(), runs(3, "d", true)]) => {
            let results = settle.await;
            let [Ok("a"), Err(Failure::Error(b)), Err(Failure::Panic(c)), Ok("d")] = &results[..] else {
                panic!("{results:?}")
            };
            assert_eq!((b.to_string(), c.message()), (String::from("b"), Some("for settle")));
        }
    );
}

#[tokio::test(start_paused = true)]
async fn first_ok_gives_the_first_value_and_an_early_failure_does_not_decide() {
    both_ways!(race = join::first_ok([runs(60, "a", true), runs(1, "b", false), runs(2, "c", true)]) => {
        let start = Instant::now();
        assert_eq!(race.await.unwrap(), "c");
        assert_eq!(start.elapsed(), 2 * SECOND);
    });
}

#[tokio::test(start_paused = true)]
async fn a_race_without_a_winner_gives_every_failure_in_the_order_of_the_input() {
    let panics = || async {
        sleep(2 * SECOND).await;
        panic!("b")
    };
    both_ways!(race = join::first_ok([runs(3, "a", false), panics().boxed(), runs(1, "c", false)]) => {
        let lost = race.await.unwrap_err();
        assert!(matches!(lost.failures(), [Failure::Error(_), Failure::Panic(_), Failure::Error(_)]), "{lost:?}");
        assert_eq!(lost.to_string(), "3 failed, too many to win: a; panicked: b; c");
    });
}

#[tokio::test(start_paused = true)]
async fn quorum_gives_the_first_values_in_time_in_the_order_of_the_input() {
    let group = || [runs(3, "a", true), runs(60, "b", true), runs(2, "c", false), runs(1, "d", true)];
    both_ways!(quorum = join::quorum(2, group()) => {
        let start = Instant::now();
        assert_eq!(quorum.await.unwrap(), ["a", "d"]);
        assert_eq!(start.elapsed(), 3 * SECOND);
    });
}

#[tokio::test(start_paused = true)]
async fn a_quorum_is_lost_as_soon_as_too_many_have_failed() {
    let group = || [runs(3, "a", false), runs(60, "b", true), runs(2, "c", false), runs(60, "d", true)];
    both_ways!(quorum = join::quorum(3, group()) => {
        let start = Instant::now();
        let lost = quorum.await.unwrap_err();
        assert_eq!(start.elapsed(), 3 * SECOND, "not 60");
        assert_eq!(lost.into_failures().iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "c"]);
    });
}

#[test]
fn a_quorum_of_nobody_or_of_more_than_there_are_runs_nothing() {
    both_flavours(|| async {
        let (live, polled) = (Live::new(), AtomicUsize::new(0));
        let group = || {
            let polled = &polled;
            [live.one(), live.one()].map(|guard| async move {
                let _guard = guard;
                polled.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Cancelled>(())
            })
        };
        assert!(join::quorum(0, group()).await.unwrap().is_empty());
        assert!(matches!(join::quorum(3, group()).await, Err(RaceError::TooFew { needed: 3, given: 2 })));
        assert_eq!((polled.load(Ordering::SeqCst), live.count()), (0, 0));
        assert_eq!(join::quorum(2, group()).await.unwrap().len(), 2);
        assert_eq!(polled.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn joins_of_nothing_are_defined() {
    both_flavours(|| async {
        type Nobody = std::future::Ready<Result<u8, Cancelled>>;
        let nobody: [Nobody; 0] = [];
        assert!(join::all(nobody.clone()).await.unwrap().is_empty());
        assert!(join::settle(nobody.clone()).await.is_empty());
        assert!(matches!(join::first_ok(nobody.clone()).await, Err(RaceError::Empty)));
        assert!(join::quorum(0, nobody.clone()).await.unwrap().is_empty());
        assert!(matches!(join::quorum(1, nobody.clone()).await, Err(RaceError::TooFew { needed: 1, given: 0 })));
        let call = |item: u8| std::future::ready(Ok::<_, Cancelled>(item));
        assert!(join::map([], call).await.unwrap().is_empty());
        join::for_each(Vec::<u8>::new(), async |_| Ok::<_, Cancelled>(())).await.unwrap();
        join::all(nobody).parallel().await.unwrap();
    });
}

#[test]
fn ties_go_to_the_first_in_the_input() {
    both_flavours(|| async {
        for _ in 0..20 {
            let ready = [1, 2, 3].map(|n| std::future::ready(Ok::<_, Cancelled>(n)));
            assert_eq!(join::first_ok(ready.clone()).await.unwrap(), 1);
            assert_eq!(join::quorum(2, ready).await.unwrap(), [1, 2]);
            let failing = [1, 2, 3].map(|n| async move { Err::<(), _>(anyhow::anyhow!("{n}")) });
            assert_eq!(join::all(failing).await.unwrap_err().to_string(), "1");
        }
    });
}

#[test]
fn ties_do_too_whoever_is_woken_first() {
    both_flavours(|| async {
        let gates: [_; 3] = std::array::from_fn(|_| tokio::sync::oneshot::channel::<()>());
        let (keys, gates): (Vec<_>, Vec<_>) = gates.into_iter().unzip();
        let opens = async {
            yield_now().await;
            for key in keys.into_iter().rev() {
                key.send(()).unwrap();
            }
            pending().await
        };
        let waits = gates.into_iter().enumerate().map(|(n, gate)| {
            async move {
                gate.await.unwrap();
                Ok::<_, Cancelled>(n)
            }
            .boxed()
        });
        assert_eq!(join::first_ok(waits.chain([opens.boxed()])).await.unwrap(), 0);
    });
}

#[tokio::test]
async fn a_panic_of_a_child_goes_on_with_its_payload_when_everything_has_ended() {
    let live = Live::new();
    let group = || {
        [true, false].map(|panics| {
            let guard = live.one();
            async move {
                let _guard = guard;
                yield_now().await;
                if panics {
                    std::panic::panic_any(42_u8);
                }
                pending::<()>().await;
                Ok::<_, Cancelled>(())
            }
        })
    };
    both_ways!(all = join::all(group()) => {
        let payload = AssertUnwindSafe(all.into_future()).catch_unwind().await.unwrap_err();
        assert_eq!((payload.downcast_ref(), live.count()), (Some(&42_u8), 0));
    });
}

async fn length(text: &str) -> anyhow::Result<usize> {
    yield_now().await;
    Ok(text.len())
}

async fn lengths(texts: &[String]) -> anyhow::Result<Vec<usize>> {
    join::all(texts.iter().map(|text| length(text))).limit(4).await
}

#[test]
fn children_may_borrow_and_the_whole_can_be_spawned() {
    both_flavours(|| async {
        let task = tokio::spawn(async {
            let texts = [String::from("a"), String::from("bc")];
            let total = AtomicUsize::new(0);
            let lengths = lengths(&texts).await?;
            join::for_each(&texts, |text| {
                let total = &total;
                async move {
                    total.fetch_add(length(text).await?, Ordering::SeqCst);
                    anyhow::Ok(())
                }
            })
            .limit(1)
            .await?;
            let again = join::map(texts.iter(), |text| length(text)).await?;
            let raced = join::first_ok(texts.iter().map(|text| length(text))).await?;
            anyhow::Ok((lengths, total.into_inner(), again, raced))
        });
        assert_eq!(task.await.unwrap().unwrap(), (vec![1, 2], 3, vec![1, 2], 1));
        let boxed: futures::future::BoxFuture<'static, _> = Box::pin(join::settle([after(0, "x")]).into_future());
        assert_eq!(boxed.await.len(), 1);
    });
}

#[test]
fn joins_nest_and_run_inside_children() {
    both_flavours(|| async {
        let sum = nursery!(async |n| -> Result<usize, Cancelled> {
            let child = n.spawn(async {
                let rows = join::map(0..3_usize, |row| async move {
                    let cells = join::all((0..3).map(|column| async move {
                        yield_now().await;
                        Ok::<_, Cancelled>(row * column)
                    }));
                    Ok::<usize, Cancelled>(cells.parallel().await?.into_iter().sum())
                });
                Ok(rows.await?.into_iter().sum::<usize>())
            });
            let borrowed = n.spawn_borrowed(async {
                let one = join::first_ok([async { Ok::<_, Cancelled>(1) }]).parallel().await;
                Ok(one.unwrap_or_default())
            });
            Ok(child.await + borrowed.await)
        })
        .await;
        assert_eq!(sum.unwrap(), 10);
    });
}

#[test]
fn the_limit_bounds_how_many_are_in_flight_and_how_many_are_begun() {
    both_flavours(|| async {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let group = || {
            (0..50).map(|n| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Cancelled>(n)
                }
            })
        };
        both_ways!(all = join::all(group()).limit(3) => {
            most.store(0, Ordering::SeqCst);
            assert_eq!(all.await.unwrap().len(), 50);
            let most = most.load(Ordering::SeqCst);
            assert!((1..=3).contains(&most), "{most}");
        });
        most.store(0, Ordering::SeqCst);
        join::all(group()).await.unwrap();
        assert_eq!(most.load(Ordering::SeqCst), 50, "no limit is none");
    });
}

#[test]
#[should_panic(expected = "a limit of zero lets no child start")]
fn a_limit_of_zero_is_a_panic_at_the_call() {
    let _ = join::all([after(0, "a")]).limit(0);
}

#[test]
fn nothing_runs_before_the_first_poll() {
    both_flavours(|| async {
        let live = Live::new();
        let polled = AtomicUsize::new(0);
        let guard = live.one();
        let all = join::all([async {
            let _guard = guard;
            polled.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Cancelled>(())
        }]);
        let all = all.into_future();
        assert_eq!((polled.load(Ordering::SeqCst), live.count()), (0, 1));
        drop(all);
        assert_eq!((polled.load(Ordering::SeqCst), live.count()), (0, 0));
    });
}

#[test]
fn a_race_between_threads_is_won_by_either() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut wins = [0_u32; 2];
    for round in 0..20_000_u64 {
        let winner = runtime.block_on(async {
            join::first_ok([0, 1_usize].map(|n| async move {
                // Each gets its turn at being slow.
                for _ in 0..(round + n as u64 * 7) % 13 {
                    yield_now().await;
                }
                Ok::<_, Cancelled>(n)
            }))
            .parallel()
            .await
            .unwrap()
        });
        wins[winner] += 1;
        if wins.iter().all(|&wins| wins >= 20) {
            return;
        }
    }
    panic!("one always wins: {wins:?}");
}

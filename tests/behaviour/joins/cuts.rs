//! Deadlines and cancellation from outside (P6, P8), and what of a join survives them. Virtual time.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use sc_tokio::{Cancelled, Failure, RaceError, Reason, join, nursery};
use tokio::time::{Instant, sleep};

use super::{SECOND, after, both_ways, runs};
use crate::support::Live;

async fn after_seconds(seconds: u32) -> Result<u32, Cancelled> {
    sleep(seconds * SECOND).await;
    Ok(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_an_error_that_names_the_join() {
    let start = Instant::now();
    let late = join::all([1, 60].map(after_seconds)).named("pages").timeout(2 * SECOND).await.unwrap_err();
    assert_eq!(start.elapsed(), 2 * SECOND);
    assert!(late.to_string().starts_with("deadline of 2s expired in scope `pages` ("), "{late}");
    assert!(late.to_string().contains("cuts.rs"), "{late}");
    both_ways!(race = join::first_ok([60, 70].map(after_seconds)).timeout(SECOND) => {
        let lost = race.await.unwrap_err();
        assert!(lost.as_cancelled().is_some_and(Cancelled::is_deadline), "{lost:?}");
    });
    both_ways!(quorum = join::quorum(2, [1, 60].map(after_seconds)).deadline(Instant::now() + 2 * SECOND) => {
        assert!(matches!(quorum.await, Err(RaceError::Cancelled(late)) if late.is_deadline()));
    });
    both_ways!(map = join::map([1, 60], after_seconds).timeout(90 * SECOND).deadline(Instant::now() + 2 * SECOND) => {
        let start = Instant::now();
        assert!(map.await.unwrap_err().is_deadline());
        assert_eq!(start.elapsed(), 2 * SECOND, "the earlier counts");
    });
}

#[tokio::test(start_paused = true)]
async fn after_a_deadline_settle_keeps_what_has_ended() {
    both_ways!(settle = join::settle([runs(1, "a", true), runs(60, "b", true), runs(1, "c", false)]).timeout(2 * SECOND) => {
            let results = settle.await;
            let [Ok("a"), Err(Failure::Cancelled(late)), Err(Failure::Error(_))] = &results[..] else {
                panic!("{results:?}")
            };
            assert!(late.is_deadline());
        }
    );
}

#[tokio::test(start_paused = true)]
async fn what_ends_at_the_instant_of_the_deadline_has_ended() {
    for _ in 0..50 {
        let results = join::settle([2, 3].map(after_seconds)).timeout(2 * SECOND).await;
        assert!(matches!(results[..], [Ok(2), Err(Failure::Cancelled(_))]), "{results:?}");
        assert_eq!(join::all([1, 2].map(after_seconds)).timeout(2 * SECOND).await.unwrap(), [1, 2]);
        let error = join::all([runs(2, "at the deadline", false)]).timeout(2 * SECOND).await.unwrap_err();
        assert_eq!(error.to_string(), "at the deadline", "an error outranks a deadline (P5)");
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_were_never_started_are_cancelled_with_the_rest() {
    let live = Live::new();
    let polled = AtomicUsize::new(0);
    let group = [1, 60, 1, 1].map(|seconds| {
        let (guard, polled) = (live.one(), &polled);
        async move {
            let _guard = guard;
            polled.fetch_add(1, Ordering::SeqCst);
            after_seconds(seconds).await
        }
    });
    let results = join::settle(group).limit(1).timeout(2 * SECOND).await;
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, false]);
    assert!(results[1..].iter().all(|result| result.as_ref().unwrap_err().is_cancelled()));
    assert_eq!((polled.load(Ordering::SeqCst), live.count()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_of_zero_runs_nothing() {
    let live = Live::new();
    let polled = AtomicUsize::new(0);
    let group = || {
        [live.one(), live.one()].map(|guard| {
            let polled = &polled;
            async move {
                let _guard = guard;
                polled.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Cancelled>(())
            }
        })
    };
    let zero = std::time::Duration::ZERO;
    assert!(join::all(group()).timeout(zero).await.unwrap_err().is_deadline());
    assert!(join::first_ok(group()).timeout(zero).await.unwrap_err().is_cancelled());
    assert!(join::quorum(1, group()).timeout(zero).await.unwrap_err().is_cancelled());
    let settled = join::settle(group()).timeout(zero).await;
    assert!(matches!(&settled[..], [Err(Failure::Cancelled(_)), Err(Failure::Cancelled(late))] if late.is_deadline()));
    assert!(join::map(group(), |code| code).timeout(zero).await.unwrap_err().is_deadline());
    assert_eq!((polled.load(Ordering::SeqCst), live.count()), (0, 0));
    // A join of nothing has nothing that could be cut short.
    let none = std::iter::empty::<std::future::Ready<Result<(), Cancelled>>>;
    assert!(join::all(none()).timeout(zero).await.unwrap().is_empty());
    assert!(join::map(none(), |code| code).timeout(zero).await.unwrap().is_empty());
    assert!(matches!(join::first_ok(none()).timeout(zero).await, Err(RaceError::Empty)));
    assert!(join::quorum(0, group()).timeout(zero).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn children_inherit_the_deadline_and_a_join_cannot_extend_its_callers() {
    let asks = async || Ok::<_, Cancelled>(sc_tokio::remaining());
    both_ways!(all = join::all([asks()]).timeout(5 * SECOND) => {
        assert_eq!(all.await.unwrap(), [Some(5 * SECOND)]);
    });
    let start = Instant::now();
    let result = nursery!(async |_n| -> Result<(), Cancelled> {
        assert_eq!(join::all([asks()]).timeout(60 * SECOND).await?, [Some(3 * SECOND)]);
        join::all([pending::<Result<(), Cancelled>>()]).timeout(60 * SECOND).await?;
        Ok(())
    })
    .named("caller")
    .timeout(3 * SECOND)
    .await;
    assert!(result.unwrap_err().to_string().contains("`caller`"));
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_ancestors_cancellation_is_inherited() {
    let mut partial = 0;
    both_ways!(settle = join::settle([1, 60].map(after_seconds)) => {
        let start = Instant::now();
        let mut seen = None;
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let stop = n.canceller();
            n.spawn(async move {
                sleep(2 * SECOND).await;
                stop.cancel("enough");
            });
            seen = Some(settle.await);
            Ok(())
        })
        .grace(3 * SECOND)
        .outcome()
        .await;
        assert_eq!(start.elapsed(), 5 * SECOND, "the scope's grace holds for the join");
        // The body's grace ends at the same instant: whether it gets to see the result depends on who is faster.
        assert_eq!(outcome.value().is_some(), seen.is_some());
        if let Some(seen) = seen {
            assert!(matches!(&seen[..], [Ok(1), Err(Failure::Cancelled(c))] if c.is_inherited()), "{seen:?}");
            partial += 1;
        }
    });
    assert!(partial > 0);
    let mut seen = None;
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.cancel("enough");
        let all = join::all([after_seconds(1)]).await.unwrap_err();
        let settled = join::settle([after_seconds(1)]).await;
        seen = Some((all, settled));
        Ok(())
    })
    .grace(SECOND)
    .outcome()
    .await;
    assert!(outcome.value().is_some());
    let (all, settled) = seen.unwrap();
    assert!(all.is_inherited() && all.reason() == Reason::Requested, "{all}");
    assert!(matches!(&settled[..], [Err(Failure::Cancelled(c))] if c.is_inherited()));
}

#[tokio::test(start_paused = true)]
async fn a_join_that_notices_an_ancestors_cancellation_gives_what_it_has() {
    let mut seen = None;
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let stop = n.canceller();
        n.spawn(async move {
            sleep(2 * SECOND).await;
            stop.cancel("enough");
        });
        let notices = async {
            let cancelled = sc_tokio::cancelled().await;
            Err::<u32, _>(cancelled)
        };
        seen = Some(join::settle([after_seconds(1).boxed(), notices.boxed()]).await);
        Ok(())
    })
    .grace(3 * SECOND)
    .outcome()
    .await;
    assert!(outcome.value().is_some());
    let seen = seen.unwrap();
    assert!(matches!(&seen[..], [Ok(1), Err(Failure::Error(c))] if c.is_inherited()), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn in_the_grace_values_count_and_failures_are_consequences() {
    let tidies = async || {
        let cancelled = sc_tokio::cancelled().await;
        sleep(SECOND).await;
        anyhow::Ok(cancelled.is_deadline())
    };
    both_ways!(all = join::all([tidies(), tidies()]).timeout(SECOND).grace(5 * SECOND) => {
        let start = Instant::now();
        assert_eq!(all.await.unwrap(), [true, true], "nothing was cut short (P5)");
        assert_eq!(start.elapsed(), 2 * SECOND);
    });
    both_ways!(race = join::first_ok([tidies(), tidies()]).timeout(SECOND).grace(5 * SECOND) => {
        assert!(race.await.unwrap());
    });
    let fails = async || {
        sc_tokio::cancelled().await;
        anyhow::bail!("a consequence")
    };
    both_ways!(all = join::all([tidies().boxed(), fails().boxed()]).timeout(SECOND).grace(5 * SECOND) => {
        let error: anyhow::Error = all.await.unwrap_err();
        assert!(error.downcast_ref::<Cancelled>().is_some_and(Cancelled::is_deadline), "{error}");
    });
    both_ways!(quorum = join::quorum(2, [tidies().boxed(), fails().boxed()]).timeout(SECOND).grace(5 * SECOND) => {
        assert!(quorum.await.unwrap_err().is_cancelled());
    });
    both_ways!(settle = join::settle([tidies().boxed(), fails().boxed()]).timeout(SECOND).grace(5 * SECOND) => {
        let settled = settle.await;
        assert!(matches!(&settled[..], [Ok(true), Err(Failure::Error(_))]), "{settled:?}");
    });
}

#[tokio::test(start_paused = true)]
async fn with_no_time_left_after_the_grace_the_rest_is_cut() {
    both_ways!(settle = join::settle([1, 4, 60].map(after_seconds)).timeout(2 * SECOND).grace(3 * SECOND) => {
        let start = Instant::now();
        let settled = settle.await;
        assert_eq!(start.elapsed(), 5 * SECOND);
        assert!(matches!(&settled[..], [Ok(1), Ok(4), Err(Failure::Cancelled(_))]), "{settled:?}");
    });
}

#[tokio::test(start_paused = true)]
async fn nothing_new_is_started_in_the_grace() {
    let polled = AtomicUsize::new(0);
    let group = [3, 1, 1].map(|seconds| {
        let polled = &polled;
        async move {
            polled.fetch_add(1, Ordering::SeqCst);
            after_seconds(seconds).await
        }
    });
    let settled = join::settle(group).limit(1).timeout(SECOND).grace(60 * SECOND).await;
    assert!(matches!(&settled[..], [Ok(3), Err(Failure::Cancelled(_)), Err(Failure::Cancelled(_))]), "{settled:?}");
    assert_eq!(polled.load(Ordering::SeqCst), 1, "P7");
    let taken = AtomicUsize::new(0);
    let items = [3, 1, 1].into_iter().inspect(|_| {
        taken.fetch_add(1, Ordering::SeqCst);
    });
    let late = join::map(items, after_seconds).limit(1).timeout(SECOND).grace(60 * SECOND).await.unwrap_err();
    assert!(late.is_deadline());
    assert_eq!(taken.load(Ordering::SeqCst), 1, "the source is not asked for more");
}

#[tokio::test(start_paused = true)]
async fn one_inside_a_time_out_ends_with_its_callers_deadline() {
    let late = sc_tokio::timeout(SECOND, async { join::all([after(60, "late")]).await }).await.unwrap_err();
    assert!(late.is_deadline());
}

/// P8: whether the last child or the canceller comes first is open; the result says which.
#[test]
fn a_cancellation_that_races_with_the_last_child_ends_in_one_of_two_ways() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut whole, mut cut) = (0, 0);
    for round in 0..50_000_u64 {
        let settled = runtime.block_on(async {
            let (sender, receiver) = std::sync::mpsc::channel();
            let canceller = tokio::task::spawn_blocking(move || {
                let stop: sc_tokio::Canceller = receiver.recv().unwrap();
                for _ in 0..round % 400 {
                    std::hint::spin_loop();
                }
                stop.cancel("race");
            });
            let outcome = nursery!(async |n| -> Result<bool, Cancelled> {
                sender.send(n.canceller()).unwrap();
                let all = join::all((0..4).map(|n| async move {
                    tokio::task::yield_now().await;
                    Ok::<_, Cancelled>(n)
                }));
                let all = all.parallel().await;
                assert!(all.as_ref().map_or_else(|c| !c.is_deadline(), |values| *values == [0, 1, 2, 3]), "{all:?}");
                Ok(all.is_ok())
            })
            .grace(super::SECOND)
            .outcome()
            .await;
            canceller.await.unwrap();
            outcome.into_value().expect("the grace is long enough")
        });
        if settled {
            whole += 1;
        } else {
            cut += 1;
        }
        if whole >= 10 && cut >= 10 {
            return;
        }
    }
    panic!("only one outcome was seen: {whole} whole, {cut} cut");
}

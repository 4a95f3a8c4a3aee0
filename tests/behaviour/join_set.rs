//! A set of tasks: results in the order of the ends, an owner on every exit, memory bounded by a limit.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, ScopedJoinSet, Supervise, Verdict, nursery, policy_fn};
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{Alive, Live, Log, Watchdog, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

async fn never<T, E>() -> Result<T, E> {
    pending().await
}

#[derive(Debug, PartialEq, Eq)]
enum Mine {
    Broken(u32),
    Cancelled,
}

impl From<Cancelled> for Mine {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

#[tokio::test(start_paused = true)]
async fn results_come_in_the_order_in_which_the_tasks_end() {
    nursery!(async |n| -> Result<(), Cancelled> {
        let mut set = n.join_set();
        assert!(set.is_empty() && set.join_next().await.is_none());
        for after in [3, 1, 2] {
            set.spawn(async move {
                sleep(after * SECOND).await;
                Ok(after)
            });
        }
        assert_eq!((set.len(), n.len()), (3, 3), "its tasks are children of the scope");
        let mut seen = Vec::new();
        while let Some(result) = set.join_next().await {
            seen.push(result.unwrap());
        }
        assert_eq!(seen, [1, 2, 3]);
        assert!(set.is_empty());
        set.spawn(async { Ok(4) });
        assert_eq!(set.join_next().await.unwrap().unwrap(), 4, "an empty set can be filled again");
        Ok(())
    })
    .await
    .unwrap();
}

#[test]
fn a_failed_task_fails_its_scope_and_its_item_says_so() {
    both_flavours(|| async {
        let log = Log::new();
        let outcome = nursery!(async |n| -> Result<(), Mine> {
            let mut set = n.join_set::<()>();
            set.spawn(async { Err(Mine::Broken(1)) });
            if let Some(Err(failure)) = set.join_next().await {
                log.add(format!("{}", matches!(failure, Failure::OwnedByScope)));
            }
            Ok(())
        })
        .grace(Duration::from_secs(3600))
        .outcome()
        .await;
        assert_eq!(log.entries(), ["true"]);
        assert!(matches!(outcome.failures(), [Failure::Error(Mine::Broken(1))]), "{outcome:?}");
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
    });
}

#[test]
fn under_supervise_and_in_an_isolated_set_the_item_has_the_failure() {
    async fn work(set: &mut ScopedJoinSet<'_, u32, Mine>) {
        set.spawn(async { Err(Mine::Broken(1)) });
        assert!(matches!(set.join_next().await, Some(Err(Failure::Error(Mine::Broken(1))))));
        set.spawn(async { if true { panic!("a bug") } else { Ok(0) } });
        let Some(Err(Failure::Panic(panic))) = set.join_next().await else { unreachable!() };
        assert_eq!(panic.message(), Some("a bug"));
        set.spawn(async { Ok(3) });
        assert_eq!(set.join_next().await.unwrap().unwrap(), 3);
    }
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), Mine> {
            work(&mut n.join_set()).await;
            Ok(())
        })
        .policy(Supervise)
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome:?}");
        let outcome = nursery!(async |n| -> Result<(), Mine> {
            work(&mut n.join_set().isolated()).await;
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome:?}");
    });
}

#[test]
fn a_failure_that_nobody_took_is_among_the_further_ones() {
    both_flavours(|| async {
        for way in ["dropped", "shut down"] {
            let outcome = nursery!(async |n| -> Result<(), Mine> {
                let mut set = n.join_set::<()>();
                set.spawn(async { Err(Mine::Broken(7)) });
                while !n.is_empty() {
                    yield_now().await;
                }
                if way == "shut down" {
                    set.shutdown().await;
                    assert!(set.is_empty());
                }
                Ok(())
            })
            .policy(Supervise)
            .outcome()
            .await;
            assert_eq!(outcome.kind(), OutcomeKind::Partial, "{way}");
            assert!(matches!(outcome.failures(), [Failure::Error(Mine::Broken(7))]), "{way}: {outcome:?}");
        }
    });
}

#[test]
fn a_result_waits_for_the_policy_to_decide_whose_the_failure_is() {
    both_flavours(|| async {
        for verdict in [Verdict::Continue, Verdict::Cancel] {
            let log = Log::new();
            let outcome = nursery!(async |n| -> Result<(), Mine> {
                let mut set = n.join_set::<()>();
                for i in 0..10 {
                    set.spawn(async move { Err(Mine::Broken(i)) });
                }
                while let Some(Err(failure)) = set.join_next().await {
                    log.add(if matches!(failure, Failure::Error(_)) { "its own" } else { "the scope's" });
                }
                Ok(())
            })
            .policy(policy_fn(move |_: &sc_tokio::ChildExit<'_, Mine>| verdict))
            .grace(Duration::from_secs(3600))
            .outcome()
            .await;
            let entries = log.entries();
            assert_eq!(entries.len(), 10);
            if verdict == Verdict::Continue {
                assert!(entries.iter().all(|entry| entry == "its own"));
                assert_eq!(outcome.kind(), OutcomeKind::Ok);
            } else {
                assert!(entries.iter().any(|entry| entry == "the scope's"));
                assert_eq!(outcome.kind(), OutcomeKind::Failed);
            }
        }
    });
}

#[test]
fn stopping_tasks_is_no_failure() {
    both_flavours(|| async {
        let live = Live::new();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let mut set = n.join_set::<u32>();
            let one = live.one();
            let handle = set.spawn(async move {
                let _one = one;
                never().await
            });
            set.spawn(async { Ok(1) });
            assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
            assert!(!handle.is_finished());
            handle.clone().abort();
            let Some(Err(Failure::Cancelled(cancelled))) = set.join_next().await else { unreachable!() };
            assert_eq!(cancelled.reason(), Reason::Requested);
            assert!(handle.is_finished());
            handle.abort(); // too late for anything
            assert_eq!(live.count(), 0);
            for _ in 0..10 {
                set.spawn(never());
            }
            yield_now().await;
            set.abort_all();
            set.spawn(async { Ok(2) }); // was not there
            let (mut stopped, mut done) = (0, 0);
            while let Some(result) = set.join_next().await {
                match result {
                    Ok(2) => done += 1,
                    Err(Failure::Cancelled(_)) => stopped += 1,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!((stopped, done), (10, 1));
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok, "not a runtime that ended: {outcome:?}");
        assert_eq!(outcome.report().cancelled, 11);
    });
}

#[tokio::test(start_paused = true)]
async fn a_stopped_task_has_the_grace_of_its_scope_once() {
    let begin = Instant::now();
    nursery!(async |n| -> Result<(), Cancelled> {
        let mut set = n.join_set::<u32>();
        set.spawn(async {
            sleep(SECOND).await;
            Ok(1)
        });
        set.spawn(never());
        yield_now().await;
        set.abort_all();
        assert_eq!(set.join_next().await.unwrap().unwrap(), 1, "it tidied up in its grace");
        sleep(3 * SECOND).await;
        set.abort_all();
        assert!(matches!(set.join_next().await, Some(Err(Failure::Cancelled(_)))));
        assert_eq!(begin.elapsed(), 5 * SECOND, "the second stop changes nothing");
        // As with a set that is dropped.
        set.spawn(never());
        drop(set);
        Ok(())
    })
    .grace(5 * SECOND)
    .await
    .unwrap();
    assert_eq!(begin.elapsed(), 10 * SECOND);
}

#[test]
fn a_set_that_is_dropped_stops_its_tasks_and_the_scope_waits_for_them() {
    both_flavours(|| async {
        for rounds in 0..20 {
            let live = Live::new();
            let outcome = nursery!(async |n| -> Result<(), Cancelled> {
                let mut set = n.join_set::<Alive>();
                for i in 0..10 {
                    let (captured, output) = (live.one(), live.clone());
                    set.spawn(async move {
                        let _captured = captured;
                        if i % 2 == 0 {
                            for _ in 0..rounds {
                                yield_now().await;
                            }
                            return Ok(output.one());
                        }
                        never().await
                    });
                }
                for _ in 0..rounds {
                    yield_now().await;
                }
                if rounds % 2 == 1 {
                    n.cancel("the body is cut, and the set goes with it");
                    never::<(), Cancelled>().await?;
                }
                drop(set);
                Ok(())
            })
            .outcome()
            .await;
            assert_eq!(live.count(), 0, "captures and outputs are gone (P1)");
            assert_eq!(outcome.kind(), if rounds % 2 == 1 { OutcomeKind::Cancelled } else { OutcomeKind::Ok });
        }
    });
}

#[test]
fn outputs_that_nobody_took_are_dropped_with_the_body_and_the_panic_of_a_destructor_is_the_scopes() {
    struct Loud(Live, #[allow(dead_code, reason = "counted while it lives")] Alive);
    impl Drop for Loud {
        fn drop(&mut self) {
            assert!(self.0.count() == 0, "a destructor's bug");
        }
    }
    both_flavours(|| async {
        let live = Live::new();
        let output = live.clone();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let mut set = n.join_set();
            for _ in 0..2 {
                let output = output.clone();
                set.spawn(async move { Ok(Loud(output.clone(), output.one())) });
            }
            while !n.is_empty() {
                yield_now().await;
            }
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(live.count(), 0);
        assert_eq!(outcome.failures().len(), 2, "both: {outcome:?}");
        assert!(outcome.failures().iter().all(Failure::is_panic));
    });
}

#[test]
fn an_output_that_comes_in_the_grace_after_the_set_is_gone_is_dropped_before_the_scope_resolves() {
    struct Slow(#[allow(dead_code, reason = "counted while it lives")] Alive);
    impl Drop for Slow {
        fn drop(&mut self) {
            (0..200).for_each(|_| std::thread::yield_now());
        }
    }
    let _watchdog = Watchdog::start();
    // Not one of the runtime's own threads: the scope can go on while a worker still drops the output.
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for _ in 0..50 {
            let (live, gate) = (Live::new(), Arc::new(Notify::new()));
            let (output, waits) = (live.clone(), Arc::clone(&gate));
            nursery!(async |n| -> Result<(), Cancelled> {
                let mut set = n.join_set();
                set.spawn(async move {
                    waits.notified().await;
                    Ok(Slow(output.one()))
                });
                yield_now().await;
                drop(set);
                gate.notify_one();
                Ok(())
            })
            .grace(Duration::from_secs(3600))
            .await
            .unwrap();
            assert_eq!(live.count(), 0);
        }
    });
}

#[test]
fn a_task_of_a_cancelled_scope_is_refused_and_its_result_says_so() {
    both_flavours(|| async {
        let log = Log::new();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let mut set = n.join_set::<()>();
            n.cancel("closed");
            let handle = set.spawn(async { assert_eq!(1, 2, "never polled") });
            assert!(handle.id().is_none() && handle.is_finished());
            set.spawn_blocking(|_cx| -> Result<(), Cancelled> { unreachable!("never run") });
            handle.abort();
            assert_eq!(set.len(), 2);
            for _ in 0..2 {
                let Some(Err(Failure::Cancelled(cancelled))) = set.try_join_next() else { unreachable!() };
                log.add(cancelled.to_string());
            }
            assert!(set.try_join_next().is_none() && set.is_empty());
            Ok(())
        })
        .outcome()
        .await;
        assert!(
            !outcome.is_ok() && outcome.value().is_some(),
            "refused work was cut short, and the body not: {outcome:?}"
        );
        assert!(log.entries().len() == 2 && log.entries()[0].contains("closed"));
    });
}

#[test]
fn join_all_gives_every_result() {
    both_flavours(|| async {
        nursery!(async |n| -> Result<(), Mine> {
            let mut set = n.join_set::<u32>().isolated();
            for i in 0..10 {
                set.spawn(async move { if i % 2 == 0 { Ok(i) } else { Err(Mine::Broken(i)) } });
            }
            let results = set.join_all().await;
            assert_eq!(results.iter().filter_map(|result| result.as_ref().ok()).sum::<u32>(), 20);
            assert_eq!(results.iter().filter(|result| matches!(result, Err(Failure::Error(_)))).count(), 5);
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn shutdown_waits_for_all_and_leaves_the_set_usable() {
    both_flavours(|| async {
        let live = Live::new();
        nursery!(async |n| -> Result<(), Cancelled> {
            let mut set = n.join_set();
            for i in 0..10 {
                let guard = live.one();
                set.spawn(async move { if i % 2 == 0 { Ok(guard) } else { never().await } });
            }
            set.shutdown().await;
            assert_eq!((set.len(), live.count()), (0, 0));
            let guard = live.one();
            set.spawn(async move { Ok(guard) });
            assert!(set.join_next().await.unwrap().is_ok());
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn closures_on_blocking_threads_can_be_in_it() {
    both_flavours(|| async {
        let live = Live::new();
        let guard = live.one();
        nursery!(async |n| -> Result<(), Cancelled> {
            let mut set = n.join_set();
            set.spawn_blocking(|_cx| Ok(1));
            set.spawn(async { Ok(2) });
            let (a, b) = (set.join_next().await.unwrap().unwrap(), set.join_next().await.unwrap().unwrap());
            assert_eq!(a + b, 3);
            let handle = set.spawn_blocking(move |cx| {
                let _guard = guard;
                while !cx.is_cancelled() {
                    std::hint::spin_loop();
                }
                Err(cx.check().unwrap_err())
            });
            yield_now().await;
            handle.abort();
            assert!(set.join_next().await.unwrap().is_err());
            Ok(())
        })
        .policy(Supervise)
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_in_a_select() {
    nursery!(async |n| -> Result<(), Cancelled> {
        let mut set = n.join_set();
        for after in 1..=20 {
            set.spawn(async move {
                sleep(after * SECOND).await;
                Ok(after)
            });
        }
        let (mut sum, mut ticks) = (0, 0);
        loop {
            tokio::select! {
                biased;
                () = sleep(SECOND / 2) => ticks += 1,
                result = set.join_next() => match result {
                    Some(result) => sum += result.unwrap(),
                    None => break,
                },
            }
        }
        assert_eq!(sum, 210);
        assert!(ticks >= 20);
        Ok(())
    })
    .await
    .unwrap();
}

#[test]
fn it_is_a_stream_and_can_be_polled() {
    both_flavours(|| async {
        nursery!(async |n| -> Result<(), Cancelled> {
            let mut set = n.join_set();
            for i in 0..10 {
                set.spawn(async move { Ok(i) });
            }
            let first = poll_fn(|cx| set.poll_join_next(cx)).await.unwrap().unwrap();
            let rest: i32 = set.by_ref().map(Result::unwrap).fold(0, async |sum, i| sum + i).await;
            assert_eq!(first + rest, 45);
            let (send, receive) = oneshot::channel();
            set.spawn(async move { Ok(receive.await.unwrap()) });
            assert!(set.try_join_next().is_none());
            let pending = poll_fn(|cx| Poll::Ready(set.poll_join_next(cx).is_pending())).await;
            assert!(pending);
            send.send(7).unwrap();
            assert_eq!(set.next().await.unwrap().unwrap(), 7);
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn looking_without_waiting_loses_no_wake_up() {
    both_flavours(|| async {
        nursery!(async |n| -> Result<(), Cancelled> {
            let mut set = n.join_set();
            let go = Arc::new(Notify::new());
            let gate = Arc::clone(&go);
            set.spawn(async move {
                gate.notified().await;
                Ok(1)
            });
            let mut polls = 0;
            let result = poll_fn(|cx| {
                let next = set.poll_join_next(cx);
                polls += 1;
                if next.is_pending() {
                    assert!(set.try_join_next().is_none());
                    go.notify_one();
                }
                next
            });
            assert_eq!(result.await.unwrap().unwrap(), 1);
            assert_eq!(polls, 2);
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_task_that_ends_with_its_runtime_is_told_apart_from_one_that_was_stopped() {
    let _watchdog = Watchdog::start();
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let entered = other.handle().clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let log = Log::new();
    let outcome = runtime.block_on(async {
        nursery!(async |n| -> Result<(), Cancelled> {
            let mut set = n.join_set::<()>();
            {
                let _inside = entered.enter();
                set.spawn(never());
            }
            other.shutdown_background();
            let Some(Err(Failure::Cancelled(cancelled))) = set.join_next().await else { unreachable!() };
            log.add(format!("{:?}", cancelled.reason()));
            Ok(())
        })
        .grace(Duration::from_secs(3600))
        .outcome()
        .await
    });
    assert_eq!(log.entries(), ["RuntimeEnded"]);
    assert_eq!(outcome.cancelled().map(Cancelled::reason), Some(Reason::RuntimeEnded));
    assert_eq!(outcome.kind(), OutcomeKind::Cancelled);
}

#[test]
fn a_stop_races_the_end_of_a_task_and_its_item_says_which_it_was() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut done, mut stopped) = (0, 0);
        for round in 0..20_000_u32 {
            let go = Arc::new(AtomicUsize::new(0));
            let (task_go, output) = (Arc::clone(&go), Live::new());
            let live = output.clone();
            let outcome = nursery!(async |n| -> Result<bool, Cancelled> {
                let mut set = n.join_set();
                set.spawn(async move {
                    task_go.fetch_add(1, Ordering::SeqCst);
                    for _ in 0..round % 64 {
                        yield_now().await;
                    }
                    Ok(output.one())
                });
                while go.load(Ordering::SeqCst) == 0 {
                    std::hint::spin_loop();
                }
                for _ in 0..round % 7 * 100 {
                    std::hint::spin_loop();
                }
                set.abort_all();
                match set.join_next().await {
                    Some(Ok(_output)) => Ok(true),
                    Some(Err(Failure::Cancelled(_))) => Ok(false),
                    other => panic!("{:?}", other.map(|result| result.map(drop))),
                }
            })
            .outcome()
            .await;
            assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome:?}");
            assert_eq!(live.count(), 0);
            *(if outcome.into_value() == Some(true) { &mut done } else { &mut stopped }) += 1;
            if done > 20 && stopped > 20 {
                return;
            }
        }
        panic!("one side always won: done {done}, stopped {stopped}");
    });
}

//! Time in depth: `timeout` as a scope, layers that expire together, deadlines that move, extremes.

use std::future::{pending, ready};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, Scope, nursery, scoped, timeout, timeout_at};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, advance, sleep};

use crate::support::{Live, Log, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

// `timeout` alone.

#[tokio::test(start_paused = true)]
async fn it_gives_what_the_future_gives_or_the_notice() {
    assert_eq!(timeout(SECOND, ready(7)).await.unwrap(), 7);
    let inner_error: Result<Result<u8, &str>, Cancelled> = timeout(SECOND, ready(Err("its own"))).await;
    assert_eq!(inner_error.unwrap(), Err("its own"));
    let (start, place) = (Instant::now(), std::panic::Location::caller().line() + 1);
    let late = timeout(SECOND, pending::<()>()).await.unwrap_err();
    assert_eq!((start.elapsed(), late.reason(), late.is_inherited()), (SECOND, Reason::Deadline, false));
    assert_eq!((late.origin().name(), late.origin().place().line()), (None, place), "it bears its caller's place");
    assert!(late.to_string().starts_with("deadline of 1s expired in scope "), "{late}");
    let borrowed = String::from("from around it");
    assert_eq!(timeout(SECOND, async { borrowed.len() }).await.unwrap(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_lets_a_future_win_that_is_ready() {
    assert_eq!(timeout(Duration::ZERO, ready(7)).await.unwrap(), 7);
    assert_eq!(timeout_at(Instant::now(), ready(7)).await.unwrap(), 7);
    let mut polls = 0;
    let late = timeout(
        Duration::ZERO,
        std::future::poll_fn(|_| {
            polls += 1;
            std::task::Poll::<()>::Pending
        }),
    );
    assert!(late.await.unwrap_err().is_deadline());
    assert_eq!(polls, 1);
    assert!(timeout(Duration::ZERO, yield_now()).await.unwrap_err().is_deadline());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_is_a_timeout_of_zero() {
    let past = Instant::now().checked_sub(3600 * SECOND).unwrap();
    assert_eq!(timeout_at(past, ready(7)).await.unwrap(), 7);
    let late = timeout_at(past, pending::<()>()).await.unwrap_err();
    assert!(late.is_deadline() && !late.is_inherited());
    let refused = timeout_at(past, async { sc_tokio::spawn(async { unreachable!("refused") }).await.unwrap_err() });
    assert!(refused.await.unwrap_err().is_deadline());
}

#[tokio::test(start_paused = true)]
async fn too_long_for_the_clock_is_no_timeout_anywhere() {
    let value = timeout(Duration::MAX, async {
        assert_eq!((sc_tokio::deadline(), sc_tokio::remaining()), (None, None));
        sleep(3600 * SECOND).await;
        7
    });
    assert_eq!(value.await.unwrap(), 7);
    let far = Instant::now() + Duration::from_secs(60 * 60 * 24 * 365 * 1000);
    let value = timeout_at(far, async {
        assert_eq!(sc_tokio::deadline(), Some(far), "a thousand years are a deadline");
        sleep(3600 * SECOND).await;
        7
    });
    assert_eq!(value.await.unwrap(), 7);
    let log = Log::new();
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let (finalized, leaving) = (log.clone(), log.clone());
        n.defer(async move |_end| {
            sleep(3600 * SECOND).await;
            finalized.add("finalized");
        });
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            n.cancelled().await;
            sleep(3600 * SECOND).await;
            leaving.add("left in its own time");
        });
        n.cancel("take all the time there is");
        n.cancelled().await;
        Ok(())
    })
    .timeout(Duration::MAX)
    .grace(Duration::MAX)
    .finalizer_timeout(Duration::MAX)
    .warn_after(Duration::MAX)
    .outcome()
    .await;
    assert_eq!(log.entries(), ["left in its own time", "finalized"]);
    assert_eq!((outcome.kind(), outcome.report().drained_in), (OutcomeKind::Ok, Some(7200 * SECOND)));
    assert!(outcome.report().stragglers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_stopped_alone_may_have_all_the_time_there_is() {
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        let child = n.spawn(async {
            sc_tokio::cancelled().await;
            sleep(3600 * SECOND).await;
        });
        yield_now().await;
        child.cancel().await;
        Ok(())
    })
    .grace(Duration::MAX);
    let start = Instant::now();
    result.await.unwrap();
    assert_eq!(start.elapsed(), 3600 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_it_spawns_is_joined_on_every_exit() {
    let live = Live::new();
    let spawn = || {
        let guard = live.one();
        sc_tokio::spawn(async move {
            sleep(SECOND).await;
            drop(guard);
        })
    };
    let start = Instant::now();
    timeout(5 * SECOND, async { drop(spawn()) }).await.unwrap();
    assert_eq!((live.count(), start.elapsed()), (0, SECOND), "waited for");
    let late = timeout(SECOND / 2, async {
        drop(spawn());
        pending::<()>().await;
    });
    assert!(late.await.is_err());
    assert_eq!((live.count(), start.elapsed()), (0, SECOND + SECOND / 2), "stopped");
    let late = timeout(SECOND / 2, async { drop(spawn()) }).await.unwrap_err();
    assert!(late.is_deadline(), "the future was done, what it had spawned was not");
}

#[tokio::test(start_paused = true)]
async fn a_panic_inside_goes_on_after_the_drain() {
    let live = Live::new();
    for in_a_task in [false, true] {
        let guard = live.one();
        let caught = AssertUnwindSafe(timeout(SECOND, async {
            sc_tokio::spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            if in_a_task {
                let _ = sc_tokio::spawn(async { panic!("inside") }).await;
                pending::<()>().await;
            }
            panic!("inside");
        }))
        .catch_unwind()
        .await;
        let payload = sc_tokio::Panic::new(caught.err().unwrap());
        assert_eq!((payload.message(), live.count()), (Some("inside"), 0));
    }
}

#[test]
fn dropped_half_way_the_enclosing_scope_waits_for_what_it_spawned() {
    both_flavours(|| async {
        let (live, log) = (Live::new(), Log::new());
        nursery!(async |n| -> Result<(), Cancelled> {
            let guard = live.one();
            let mut late = Box::pin(timeout(3600 * SECOND, async {
                let guard = (guard, log.on_drop("task dropped"));
                sc_tokio::spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                pending::<()>().await;
            }));
            assert!(futures::poll!(&mut late).is_pending());
            drop(late);
            assert!(!n.is_cancelled(), "sideways nothing travels");
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!((live.count(), log.entries().len()), (0, 1));
    });
}

#[tokio::test(start_paused = true)]
async fn an_ancestors_cancellation_is_inherited_and_said_to_be() {
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let stop = n.canceller();
        n.spawn(async move {
            sleep(SECOND).await;
            stop.cancel("enough");
        });
        let cancelled = timeout(5 * SECOND, async {
            let cancelled = sc_tokio::cancelled().await;
            assert!(cancelled.is_inherited());
            pending::<()>().await;
        })
        .await;
        unreachable!("the body's grace is over with the future's: {cancelled:?}")
    })
    .named("outer")
    .grace(SECOND)
    .outcome()
    .await;
    assert_eq!(outcome.report().duration, 2 * SECOND);
    // With time left for the caller, it sees the error.
    let (tell, told) = oneshot::channel();
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.cancel("enough");
        let inner = nursery!(async |_n| -> Result<(), Cancelled> { timeout(SECOND, pending::<()>()).await })
            .grace(Duration::ZERO)
            .await;
        tell.send(inner.unwrap_err()).unwrap();
        Ok(())
    })
    .named("outer")
    .grace(SECOND)
    .outcome()
    .await;
    let cancelled = told.await.unwrap();
    assert_eq!((cancelled.reason(), cancelled.is_inherited()), (Reason::Requested, true));
    assert_eq!(cancelled.origin().name(), Some("outer"));
    assert_eq!(outcome.kind(), OutcomeKind::Ok, "the body gave a value, and nothing of this scope was cut");
}

#[tokio::test(start_paused = true)]
async fn in_children_of_every_kind_and_in_finalizers() {
    let log = Log::new();
    let check = |log: &Log, who: &'static str| {
        let log = log.clone();
        async move {
            let start = Instant::now();
            let late = timeout(SECOND, pending::<()>()).await.unwrap_err();
            let own = late.is_deadline() && !late.is_inherited() && start.elapsed() == SECOND;
            log.add(format!("{who}: {own}, scope goes on: {}", !sc_tokio::is_cancelled()));
            late
        }
    };
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let (parallel, daemon, finalizer) = (check(&log, "parallel"), check(&log, "daemon"), check(&log, "finalizer"));
        n.defer(async move |_end| drop(finalizer.await));
        let daemon = n.task().daemon().spawn(async move { Ok(daemon.await) });
        let parallel = n.spawn(async move { Ok(parallel.await) });
        let borrowed = n.spawn_borrowed(async { Ok(check(&log, "borrowed").await) });
        daemon.await;
        parallel.await;
        borrowed.await;
        check(&log, "body").await;
        Ok(())
    })
    .outcome()
    .await;
    let mut entries = log.entries();
    entries.sort();
    let expected = ["body", "borrowed", "daemon", "finalizer", "parallel"];
    assert_eq!(entries, expected.map(|who| format!("{who}: true, scope goes on: true")));
    assert_eq!((outcome.kind(), outcome.report().duration), (OutcomeKind::Ok, 3 * SECOND));
}

#[test]
fn it_is_send_if_the_future_is() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    drop(assert_send(timeout(SECOND, pending::<()>())));
    drop(assert_send(timeout_at(Instant::now(), pending::<()>())));
}

// Four layers: a workflow's turns run groups of tools.

const LAYERS: [&str; 4] = ["workflow", "turn", "group", "tool"];

/// Writes down, when its layer's code is dropped, whose deadline ended the layer.
struct Witness(&'static str, Log);

impl Drop for Witness {
    fn drop(&mut self) {
        let Self(layer, log) = self;
        log.add(match sc_tokio::current().and_then(|scope| scope.cancelled()) {
            None => format!("{layer}: not cancelled"),
            Some(by) => {
                assert!(by.is_deadline());
                let inherited = if by.is_inherited() { "inherited" } else { "own" };
                format!("{layer}: {} of {}", inherited, by.origin().name().unwrap_or("tool"))
            }
        });
    }
}

async fn workflow(limits: [Duration; 4], asleep: Duration, log: &Log) -> Result<(), Cancelled> {
    nursery!(async |_n| {
        let _witness = Witness("workflow", log.clone());
        let _ = turn(limits, asleep, log).await;
        Ok(())
    })
    .named("workflow")
    .timeout(limits[0])
    .await
}

#[scoped(|n|, timeout = limits[1], name = "turn")]
async fn turn(limits: [Duration; 4], asleep: Duration, log: &Log) -> Result<(), Cancelled> {
    let _witness = Witness("turn", log.clone());
    let log = log.clone();
    n.spawn(async move {
        let _ = group(limits, asleep, &log).await;
    });
    Ok(())
}

async fn group(limits: [Duration; 4], asleep: Duration, log: &Log) -> Result<(), Cancelled> {
    nursery!(async |n| {
        let _witness = Witness("group", log.clone());
        let _ = n
            .spawn_borrowed(async {
                let tool = timeout(limits[3], async {
                    let _witness = Witness("tool", log.clone());
                    advance(asleep).await;
                    pending::<()>().await;
                });
                Ok(tool.await.unwrap_err())
            })
            .join()
            .await;
        Ok(())
    })
    .named("group")
    .timeout(limits[2])
    .await
}

/// The outermost of those that have expired is the one that did.
#[track_caller]
fn check_layers(mut entries: Vec<String>, outermost: usize) {
    // The turn's own code is done before its child is.
    entries.retain(|entry| entry != "turn: not cancelled");
    let expected = |(layer, name): (usize, &&str)| match layer {
        1 => None,
        _ if layer < outermost => Some(format!("{name}: not cancelled")),
        _ if layer == outermost => Some(format!("{name}: own of {name}")),
        _ => Some(format!("{name}: inherited of {}", LAYERS[outermost])),
    };
    let mut expected: Vec<_> = LAYERS.iter().enumerate().filter_map(expected).collect();
    expected.sort();
    entries.sort();
    assert_eq!(entries, expected);
}

#[tokio::test(start_paused = true)]
async fn of_four_layers_that_expire_together_the_outermost_is_reported() {
    for set in 1..16_u32 {
        let limits: [Duration; 4] = std::array::from_fn(|layer| if set & (1 << layer) == 0 { 9 } else { 1 } * SECOND);
        let outermost = set.trailing_zeros() as usize;
        let (log, start) = (Log::new(), Instant::now());
        let result = workflow(limits, Duration::ZERO, &log).await;
        assert_eq!(start.elapsed(), SECOND);
        assert_eq!(result.is_err(), outermost == 0, "set {set:04b}: {result:?}");
        check_layers(log.entries(), outermost);
    }
}

#[tokio::test(start_paused = true)]
async fn of_four_layers_that_expired_within_one_poll_the_outermost_is_reported() {
    for passed in 1..=4 {
        // The tool's has passed, then the group's, and so on: the outermost expired last.
        let limits = [4, 3, 2, 1].map(|seconds| seconds * SECOND);
        let log = Log::new();
        let result = workflow(limits, passed * SECOND, &log).await;
        assert_eq!(result.is_err(), passed == 4);
        check_layers(log.entries(), 4 - passed as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_of_an_expired_layer_see_it_as_inherited_only_from_above() {
    let mut seen = Vec::new();
    let tool = |limit| timeout(limit, pending::<()>());
    nursery!(async |_n| -> Result<(), Cancelled> {
        let group = timeout(2 * SECOND, async {
            let alone = tool(SECOND).await.unwrap_err();
            let above = nursery!(async |_n| -> Result<(), Cancelled> { tool(9 * SECOND).await }).await;
            unreachable!("dropped with its own scope: {alone} {above:?}")
        });
        seen.push(group.await.map(|()| 0).unwrap_err());
        seen.push(tool(SECOND).await.unwrap_err());
        Ok(())
    })
    .timeout(9 * SECOND)
    .await
    .unwrap();
    assert!(seen.iter().all(|late| late.is_deadline() && !late.is_inherited()), "{seen:?}");
}

// `set_deadline`.

/// Runs a scope with a time-out of 5 s that is moved after 1 s, and gives the seconds it took.
async fn moved(to: impl FnOnce(Instant) -> Option<Instant> + Send + 'static, work: Duration) -> (u64, OutcomeKind) {
    let start = Instant::now();
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            sleep(SECOND).await;
            n.set_deadline(to(start)).unwrap();
        });
        sleep(work).await;
        Ok(())
    })
    .timeout(5 * SECOND)
    .outcome()
    .await;
    (start.elapsed().as_secs(), outcome.kind())
}

#[tokio::test(start_paused = true)]
async fn a_parked_scopes_deadline_moves_later_earlier_to_the_past_and_away() {
    let (exceeded, day) = (OutcomeKind::DeadlineExceeded, 24 * 3600 * SECOND);
    assert_eq!(moved(|start| Some(start + 8 * SECOND), day).await, (8, exceeded));
    assert_eq!(moved(|start| Some(start + 2 * SECOND), day).await, (2, exceeded));
    assert_eq!(moved(|start| Some(start + SECOND), day).await, (1, exceeded), "now");
    assert_eq!(moved(|start| start.checked_sub(SECOND), day).await, (1, exceeded), "in the past");
    assert_eq!(moved(|_| None, day).await, (24 * 3600, OutcomeKind::Ok));
    let far = move |start: Instant| start.checked_add(1_000_000 * day);
    assert_eq!(moved(far, day).await, (24 * 3600, OutcomeKind::Ok));
    assert_eq!(moved(|start| Some(start + 8 * SECOND), 6 * SECOND).await, (6, OutcomeKind::Ok));
}

#[tokio::test(start_paused = true)]
async fn one_can_be_set_where_there_was_none_and_moved_again_and_again() {
    let start = Instant::now();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        assert_eq!(n.deadline(), None);
        for seconds in [9, 2, 7, 4] {
            n.set_deadline(start + seconds * SECOND).unwrap();
            assert_eq!(n.remaining(), (seconds * SECOND).checked_sub(start.elapsed()));
            sleep(SECOND / 10).await;
        }
        pending().await
    })
    .await;
    assert_eq!(start.elapsed(), 4 * SECOND);
    assert_eq!(result.unwrap_err().reason(), Reason::Deadline);
}

#[tokio::test(start_paused = true)]
async fn an_expired_deadline_and_a_cancelled_scope_cannot_be_moved() {
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        advance(2 * SECOND).await; // expired, and nobody has been told
        let late = n.set_deadline(Instant::now() + SECOND);
        assert!(late.unwrap_err().to_string().contains("deadline"));
        assert!(n.set_deadline(None).is_err());
        Ok(())
    })
    .timeout(SECOND)
    .outcome()
    .await;
    assert!(outcome.is_ok(), "the body was done at the same moment: {outcome}");
    let mut after_a_cancel = None;
    let _ = nursery!(async |n| -> Result<(), Cancelled> {
        n.cancel("first");
        after_a_cancel = Some(n.set_deadline(Instant::now() + SECOND));
        Ok(())
    })
    .await;
    assert!(after_a_cancel.unwrap().is_err());
    let mut inherited = None;
    let _ = nursery!(async |_n| -> Result<(), Cancelled> {
        nursery!(async |inner| -> Result<(), Cancelled> {
            advance(2 * SECOND).await;
            inherited = Some(inner.set_deadline(None));
            Ok(())
        })
        .await
    })
    .timeout(SECOND)
    .await;
    assert!(inherited.unwrap().is_err(), "what holds is inherited, and has expired");
}

#[tokio::test(start_paused = true)]
async fn scopes_below_inherit_the_move_and_keep_what_is_their_own() {
    for (outer_to, expected, origin) in [(8, 6, "inner"), (3, 3, "outer"), (6, 6, "outer")] {
        let start = Instant::now();
        let (tell, told) = oneshot::channel();
        let _ = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn_with(async move |n: &Scope<Cancelled>| {
                sleep(SECOND).await;
                n.set_deadline(start + outer_to * SECOND).unwrap();
            });
            // Two tasks and two scopes below the one whose deadline moves.
            n.spawn(async move {
                let _ = nursery!(async |middle| -> Result<(), Cancelled> {
                    middle.spawn(async move {
                        let inner = nursery!(async |n| -> Result<(), Cancelled> {
                            n.defer(async move |end| tell.send((end.cancelled().cloned(), Instant::now())).unwrap());
                            pending().await
                        });
                        let _ = inner.named("inner").timeout(6 * SECOND).await;
                    });
                    Ok(())
                })
                .await;
            });
            Ok(())
        })
        .named("outer")
        .timeout(5 * SECOND)
        .await;
        let (cancelled, at) = told.await.unwrap();
        let cancelled = cancelled.unwrap();
        assert_eq!(at - start, expected * SECOND, "moved to {outer_to}");
        assert_eq!(cancelled.origin().name(), Some(origin));
        assert_eq!(cancelled.is_inherited(), origin == "outer");
    }
}

#[tokio::test(start_paused = true)]
async fn moving_ones_own_extends_nothing_above() {
    let start = Instant::now();
    let result = nursery!(async |_n| -> Result<(), Cancelled> {
        nursery!(async |inner| -> Result<(), Cancelled> {
            inner.set_deadline(start + 60 * SECOND).unwrap();
            assert_eq!(inner.deadline(), Some(start + 5 * SECOND));
            inner.set_deadline(None).unwrap();
            assert_eq!(inner.deadline(), Some(start + 5 * SECOND));
            pending().await
        })
        .timeout(SECOND)
        .await
    })
    .named("outer")
    .timeout(5 * SECOND)
    .await;
    assert_eq!(start.elapsed(), 5 * SECOND);
    assert_eq!(result.unwrap_err().origin().name(), Some("outer"));
}

#[tokio::test(start_paused = true)]
async fn a_scope_with_a_past_deadline_inside_one_that_lives_ends_alone() {
    let past = Instant::now().checked_sub(SECOND).unwrap();
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let late = nursery!(async |_i| -> Result<(), Cancelled> { pending().await }).deadline(past).await.unwrap_err();
        assert!(late.is_deadline() && !late.is_inherited() && !n.is_cancelled());
        sleep(SECOND).await;
        Ok(())
    })
    .timeout(5 * SECOND)
    .outcome()
    .await;
    assert_eq!(outcome.kind(), OutcomeKind::Ok);
}

#[test]
fn a_failure_of_a_timeouts_own_task_is_told_with_its_kind() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let child = n.task().isolated().spawn(async { timeout(3600 * SECOND, async { panic!("deep") }).await });
            let failure: Failure<Cancelled> = child.join().await.unwrap_err();
            assert_eq!(failure.as_panic().and_then(|panic| panic.message()), Some("deep"));
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok);
    });
}

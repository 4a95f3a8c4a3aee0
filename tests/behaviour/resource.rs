//! Resources: released once, after everybody who used them, whatever happens.

use std::future::{IntoFuture, pending};
use std::sync::Arc;
use std::time::Duration;

use sc_tokio::{Cancelled, Nursery, OutcomeKind, Supervise, nursery};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::support::{Live, Log, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq)]
struct Thing(u32);

#[test]
fn a_resource_is_shared_with_children_and_released_after_the_last_of_them() {
    both_flavours(|| async {
        let log = Log::new();
        let sum = nursery!(async |n| {
            let note = log.clone();
            let thing = n
                .resource(async { Ok(Thing(3)) }, async move |thing, end| {
                    note.add(format!("released {:?}, {}", thing.unwrap(), end.is_ok()));
                })
                .await?;
            let (share, note) = (thing.share(), log.clone());
            n.spawn(async move {
                for _ in 0..5 {
                    yield_now().await;
                }
                note.add(format!("child used {}", share.0));
            });
            Ok::<_, Cancelled>(thing.0 + thing.clone().as_ref().0)
        })
        .await;
        assert_eq!(sum.unwrap(), 6);
        assert_eq!(log.entries(), ["child used 3", "released Thing(3), true"]);
    });
}

#[test]
fn releases_and_finalizers_run_last_in_first_out() {
    both_flavours(|| async {
        let log = Log::new();
        nursery!(async |n| {
            for i in 0..3_u32 {
                let note = log.clone();
                let acquire = n.resource(async move { Ok(i) }, async move |r, _| note.add(format!("r{}", r.unwrap())));
                acquire.await?;
                let note = log.clone();
                n.defer(async move |_| note.add(format!("d{i}")));
            }
            Ok::<_, Cancelled>(())
        })
        .await
        .unwrap();
        assert_eq!(log.entries(), ["d2", "r2", "d1", "r1", "d0", "r0"]);
    });
}

/// Every way a scope can end, and what the release is told.
#[tokio::test(start_paused = true)]
async fn it_is_released_on_every_exit_and_told_how_the_scope_ended() {
    let cases = ["value", "error", "panic", "child", "cancel", "deadline", "drop"];
    for case in cases {
        let log = Log::new();
        let _ = nursery!(async |_n| {
            let note = log.clone();
            let scope = nursery!(async |n: &Nursery<'_, std::io::Error>| {
                let _thing = n
                    .resource(async { Ok(Thing(1)) }, async move |thing, end| {
                        assert!(thing.is_ok());
                        note.add(format!("{:?}", end.kind()));
                    })
                    .await?;
                match case {
                    "value" => return Ok(()),
                    "error" => return Err(std::io::Error::other("error")),
                    "panic" => panic!("boom"),
                    "child" => drop(n.spawn(async { Err::<(), _>(std::io::Error::other("error")) })),
                    "cancel" => n.cancel("stop"),
                    _ => {}
                }
                pending().await
            })
            .timeout(5 * SECOND)
            .outcome();
            let mut scope = Box::pin(scope);
            if case == "drop" {
                let _ = tokio::time::timeout(SECOND, &mut scope).await;
                drop(scope);
            } else {
                let _ = scope.await;
            }
            Ok::<_, Cancelled>(())
        })
        .await;
        let expected = match case {
            "value" => "Ok",
            "error" | "panic" | "child" => "Failed",
            "deadline" => "DeadlineExceeded",
            _ => "Cancelled",
        };
        assert_eq!(log.entries(), [expected], "{case}");
    }
}

#[tokio::test]
async fn an_error_of_the_acquisition_goes_to_the_caller_and_nothing_is_released() {
    let log = Log::new();
    let result = nursery!(async |n| {
        let note = log.clone();
        let failed = n
            .resource(async { Err::<Thing, _>(std::io::Error::other("refused")) }, async move |_, _| {
                note.add("released");
            })
            .await;
        assert_eq!(failed.unwrap_err().to_string(), "refused");
        Ok::<_, std::io::Error>("went on")
    })
    .await;
    assert_eq!(result.unwrap(), "went on", "the scope has not failed");
    assert!(log.entries().is_empty());
}

#[tokio::test]
async fn a_panic_of_the_acquisition_goes_on_in_the_caller() {
    let outcome = nursery!(async |n: &Nursery<'_, Cancelled>| {
        n.resource(async { panic!("boom") as Result<Thing, _> }, async |_, _| {}).await?;
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(outcome.kind(), OutcomeKind::Failed);
    assert_eq!(outcome.failures()[0].as_panic().unwrap().message(), Some("boom"));
}

#[tokio::test(start_paused = true)]
async fn an_acquisition_in_flight_at_a_cancellation_is_finished_and_released() {
    for how in ["cancel", "drop the call", "drop the scope"] {
        let (log, live) = (Log::new(), Live::new());
        let _ = nursery!(async |_n| {
            let (made, released, alive) = (log.clone(), log.clone(), live.one());
            let scope = nursery!(async |n: &Nursery<'_, Cancelled>| {
                let acquire = async move {
                    sleep(2 * SECOND).await;
                    made.add("made");
                    Ok(alive)
                };
                let acquire = n.resource(acquire, async move |thing, _| {
                    drop(thing);
                    released.add("released");
                });
                if how == "drop the call" {
                    let _ = tokio::time::timeout(SECOND, acquire).await;
                    return Ok(());
                }
                if how == "cancel" {
                    let stop = n.canceller();
                    n.spawn(async move {
                        sleep(SECOND).await;
                        stop.cancel("stop");
                    });
                }
                acquire.await?;
                log.add("must not get here");
                Ok(())
            });
            let mut scope = Box::pin(scope.into_future());
            if how == "drop the scope" {
                let _ = tokio::time::timeout(SECOND, &mut scope).await;
                drop(scope);
            } else {
                let result = scope.await;
                assert_eq!(result.is_ok(), how == "drop the call", "{how}: {result:?}");
            }
            Ok::<_, Cancelled>(())
        })
        .await;
        assert_eq!(log.entries(), ["made", "released"], "{how}");
        assert_eq!(live.count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_acquisition_that_takes_too_long_after_the_cancellation_is_never_made() {
    let (log, live) = (Log::new(), Live::new());
    let started = tokio::time::Instant::now();
    let result = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let stop = n.canceller();
        n.spawn(async move {
            sleep(SECOND).await;
            stop.cancel("stop");
        });
        let (alive, note) = (live.one(), log.clone());
        let acquire = async move {
            let _alive = alive;
            pending::<Result<Thing, Cancelled>>().await
        };
        n.resource(acquire, async move |_, _| note.add("released")).await?;
        Ok(())
    })
    .finalizer_timeout(3 * SECOND)
    .await;
    assert!(result.is_err());
    assert_eq!(started.elapsed(), 4 * SECOND);
    assert_eq!(live.count(), 0);
    assert!(log.entries().is_empty());
}

#[tokio::test]
async fn in_a_cancelled_scope_nothing_is_acquired() {
    let log = Log::new();
    let result = nursery!(async |n: &Nursery<'_, Cancelled>| {
        n.cancel("stop");
        let note = log.clone();
        let acquire = async move {
            note.add("acquired");
            Ok(Thing(1))
        };
        let _ = n.resource(acquire, async |_, _| {}).await;
        log.add("must not get here");
        Ok(())
    })
    .grace(SECOND)
    .await;
    assert!(result.is_err());
    assert!(log.entries().is_empty());
}

#[tokio::test]
async fn a_share_that_left_the_scope_makes_it_leaked() {
    let log = Log::new();
    let escaped: Arc<Thing> = nursery!(async |n| {
        let note = log.clone();
        let thing = n
            .resource(async { Ok(Thing(9)) }, async move |thing, _| {
                let leaked = thing.unwrap_err();
                note.add(format!("{} {}", leaked.0, leaked.others()));
                note.add(leaked.to_string());
                let leaked = leaked.try_into_inner().unwrap_err();
                drop(leaked.into_shared());
            })
            .await?;
        Ok::<_, Cancelled>(thing.share())
    })
    .await
    .unwrap();
    assert_eq!(log.entries()[0], "9 1");
    assert!(log.entries()[1].contains("Thing) is released while 1 shares"), "{:?}", log.entries());
    assert_eq!(*escaped, Thing(9));
}

#[tokio::test]
async fn an_output_that_nobody_took_is_no_leak() {
    let log = Log::new();
    nursery!(async |n| {
        let note = log.clone();
        let thing = n.resource(async { Ok(Thing(1)) }, async move |t, _| note.add(format!("{}", t.is_ok()))).await?;
        let share = thing.share();
        n.spawn(async move { Ok(share) });
        Ok::<_, Cancelled>(())
    })
    .await
    .unwrap();
    assert_eq!(log.entries(), ["true"]);
}

#[tokio::test]
async fn a_failing_release_stops_no_other_and_masks_nothing() {
    for body_fails in [false, true] {
        let log = Log::new();
        let outcome = nursery!(async |n: &Nursery<'_, std::io::Error>| {
            let note = log.clone();
            let _a = n.resource(async { Ok(1) }, async move |_, _| note.add("first released")).await?;
            let _b = n.resource(async { Ok(2) }, async |_, _| Err(std::io::Error::other("release failed"))).await?;
            let _c = n.resource(async { Ok(3) }, async |_, _| panic!("release panicked") as ()).await?;
            if body_fails { Err(std::io::Error::other("body failed")) } else { Ok(()) }
        })
        .outcome()
        .await;
        let failures: Vec<_> = outcome.failures().iter().map(ToString::to_string).collect();
        let (body, releases) = ("body failed", ["panicked: release panicked", "release failed"]);
        if body_fails {
            assert_eq!(failures, [body, releases[0], releases[1]]);
        } else {
            assert_eq!(failures, releases);
        }
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        assert_eq!(log.entries(), ["first released"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_hangs_is_bounded() {
    let started = tokio::time::Instant::now();
    let result = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let _thing = n.resource(async { Ok(1) }, async |_, _| pending::<()>().await).await?;
        Ok(())
    })
    .finalizer_timeout(2 * SECOND)
    .await;
    assert!(result.unwrap_err().is_deadline());
    assert_eq!(started.elapsed(), 2 * SECOND);
}

#[test]
fn no_limit_counts_an_acquisition() {
    both_flavours(|| async {
        let result = nursery!(async |n| {
            let (open, gate) = oneshot::channel::<()>();
            n.spawn(async { drop(gate.await) });
            let thing = n.resource(async { Ok(Thing(1)) }, async |_, _| {}).await?;
            open.send(()).unwrap();
            Ok::<_, Cancelled>(thing.0)
        })
        .limit(1)
        .await;
        assert_eq!(result.unwrap(), 1);
    });
}

#[test]
fn dropped_call_against_cancellation_leaks_nothing() {
    both_flavours(|| async {
        for round in 0..200 {
            let (made, released) = (Live::new(), Live::new());
            let (m, r) = (made.clone(), released.clone());
            let _: Result<(), _> = nursery!(async |n: &Nursery<'_, Cancelled>| {
                let stop = n.canceller();
                n.spawn_blocking(move |_| {
                    for _ in 0..round * 7 {
                        std::hint::spin_loop();
                    }
                    stop.cancel("stop");
                });
                let acquire = async move {
                    yield_now().await;
                    std::mem::forget(m.one());
                    yield_now().await;
                    Ok(())
                };
                let _thing = n.resource(acquire, async move |_, _| std::mem::forget(r.one())).await?;
                pending().await
            })
            .policy(Supervise)
            .await;
            // Once begun it is finished, since nothing bounds it but time.
            assert_eq!(made.count(), released.count());
        }
    });
}

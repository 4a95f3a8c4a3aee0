//! P10: one order of teardown for every exit.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, OutcomeKind, Scope, nursery};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{Log, both_flavours};

#[derive(Clone, Copy, Debug)]
enum Exit {
    Value,
    Error,
    Panic,
    Cancel,
    Drop,
}

async fn run(exit: Exit, log: Log) {
    let ends = log.clone();
    let scope = nursery!(async |n| -> Result<(), anyhow::Error> {
        for name in ["finalizer 1", "finalizer 2"] {
            let log = log.clone();
            n.defer(async move |end| {
                yield_now().await;
                log.add(format!("{name} ok={}", end.is_ok()));
            });
        }
        for name in ["daemon 1", "daemon 2"] {
            let guard = log.on_drop(name);
            n.task().daemon().spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
        let guard = log.on_drop("child");
        n.spawn(async move {
            let _guard = guard;
            match exit {
                Exit::Value => yield_now().await,
                _ => pending().await,
            }
        });
        for _ in 0..5 {
            yield_now().await;
        }
        match exit {
            Exit::Value => return Ok(()),
            Exit::Error => anyhow::bail!("error"),
            Exit::Panic => panic!("panic"),
            Exit::Cancel => n.cancel("cancel"),
            Exit::Drop => {}
        }
        pending().await
    })
    .outcome();
    if matches!(exit, Exit::Drop) {
        // An enclosing scope has to wait for the dropped one's teardown (P3).
        let _: Result<(), Cancelled> = nursery!(async |_n| {
            let mut scope = Box::pin(scope);
            for _ in 0..20 {
                assert!(futures::poll!(scope.as_mut()).is_pending());
                yield_now().await;
            }
            drop(scope);
            Ok(())
        })
        .await;
    } else {
        let _ = scope.await;
    }
    ends.add("resolved");
}

#[test]
fn children_then_daemons_newest_first_then_finalizers_last_in_first_out_on_every_exit() {
    both_flavours(|| async {
        for exit in [Exit::Value, Exit::Error, Exit::Panic, Exit::Cancel, Exit::Drop] {
            let log = Log::new();
            run(exit, log.clone()).await;
            let ok = matches!(exit, Exit::Value);
            let (second, first) = (format!("finalizer 2 ok={ok}"), format!("finalizer 1 ok={ok}"));
            let expected = ["child", "daemon 2", "daemon 1", &second, &first, "resolved"];
            assert_eq!(log.entries(), expected, "{exit:?}");
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_is_shielded_from_cancellation_and_deadline() {
    let start = Instant::now();
    let mut log = Log::new();
    let seen = log.clone();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        n.defer(async move |end| {
            assert!(end.cancelled().unwrap().is_deadline());
            sleep(Duration::from_secs(3)).await;
            let inside: Result<u8, Cancelled> = nursery!(async |inner| {
                assert!(!inner.is_cancelled());
                let child = inner.spawn(async { Ok(1) });
                Ok(child.await)
            })
            .await;
            seen.add(format!("{}", inside.unwrap()));
        });
        pending().await
    })
    .timeout(Duration::from_secs(1))
    .await;
    assert!(result.is_err());
    assert_eq!(start.elapsed(), Duration::from_secs(4));
    assert_eq!(std::mem::take(&mut log).entries(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_that_hangs_is_bounded_and_reported_and_the_others_run() {
    let (start, log) = (Instant::now(), Log::new());
    let ran = log.clone();
    let outcome = nursery!(async |n| -> Result<u8, Cancelled> {
        n.defer(async move |_end| ran.add("the other"));
        n.defer(async |_end| pending::<()>().await);
        Ok(1)
    })
    .finalizer_timeout(Duration::from_secs(2))
    .outcome()
    .await;
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert_eq!(log.entries(), ["the other"]);
    assert_eq!(outcome.kind(), OutcomeKind::Failed);
    assert!(matches!(&outcome.failures()[0], Failure::Cancelled(c) if c.is_deadline()), "{outcome:?}");
    assert_eq!(outcome.into_value(), Some(1));
}

#[test]
fn a_failing_finalizer_masks_no_earlier_failure_and_stops_no_other() {
    both_flavours(|| async {
        let log = Log::new();
        let outcome = nursery!(async |n| -> Result<(), String> {
            let log = log.clone();
            n.defer(async move |_end| {
                log.add("first");
                Err::<(), _>(String::from("finalizer"))
            });
            n.defer(async move |_end| panic!("second"));
            Err(String::from("body"))
        })
        .outcome()
        .await;
        assert_eq!(log.entries(), ["first"]);
        let [Failure::Error(body), Failure::Panic(panic), Failure::Error(finalizer)] = outcome.failures() else {
            panic!("{outcome:?}")
        };
        assert_eq!((&**body, panic.message(), &**finalizer), ("body", Some("second"), "finalizer"));
    });
}

#[test]
fn an_error_of_a_finalizer_is_the_result_if_nothing_failed_before() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<(), std::io::Error> {
            n.defer(async |_end| Err::<(), _>(std::io::Error::other("flush failed")));
            Ok(())
        })
        .await;
        assert_eq!(result.unwrap_err().to_string(), "flush failed");
    });
}

#[test]
fn a_daemon_that_fails_fails_the_scope_and_one_that_is_stopped_does_not() {
    both_flavours(|| async {
        let failed = nursery!(async |n| -> Result<(), String> {
            n.task().daemon().spawn(async { Err::<(), _>(String::from("daemon")) });
            pending().await
        })
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(failed.unwrap_err(), "daemon");
        let stopped = nursery!(async |n| -> Result<u8, Cancelled> {
            n.task().daemon().spawn(pending::<()>());
            Ok(3)
        })
        .outcome()
        .await;
        assert_eq!(stopped.kind(), OutcomeKind::Ok);
        assert_eq!(stopped.report().cancelled, 1);
    });
}

#[test]
fn a_daemon_sees_why_it_is_stopped_and_may_still_have_scopes_inside() {
    both_flavours(|| async {
        let log = Log::new();
        let inner_log = log.clone();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            n.task().name("pump").daemon().spawn(async move {
                let inner = nursery!(async |inner| -> Result<(), Cancelled> {
                    let why = inner.cancelled().await;
                    inner_log.add(format!("{:?}", why.reason()));
                    Ok(())
                });
                let _ = inner.await;
            });
            for _ in 0..3 {
                yield_now().await;
            }
            Ok(())
        })
        .grace(Duration::from_secs(60))
        .outcome()
        .await;
        assert!(outcome.is_ok());
        assert_eq!(log.entries(), ["WorkDone"]);
    });
}

/// Dropping the handle parks the output, which is to be dropped before the scope resolves (P1).
#[test]
fn a_daemon_whose_output_has_a_destructor_holds_the_scope_open_as_little_as_any() {
    both_flavours(|| async {
        let log = Log::new();
        let (kept, ended) = (log.on_drop("output"), log.clone());
        nursery!(async |n| -> Result<(), Cancelled> {
            n.defer(async move |_| ended.add("finalizer"));
            n.task().daemon().spawn(async move {
                pending::<()>().await;
                Ok(kept)
            });
            let value = log.on_drop("value");
            n.task().daemon().grace(Duration::from_secs(60)).spawn_with(async move |n: &Scope<Cancelled>| {
                n.cancelled().await;
                Ok(value)
            });
            yield_now().await;
            n.canceller().cancel("the daemons end one by one");
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(log.entries(), ["value", "output", "finalizer"]);
    });
}

//! A child's attributes: its own deadline, its name, and what its handle tells.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sc_tokio::{
    BlockingCx, Cancelled, Child, Failure, OutcomeKind, Reason, Scope, Supervise, Verdict, nursery, policy_fn,
};
use tokio::time::{Instant, sleep};

use crate::support::{Live, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

// A deadline of its own.

#[tokio::test(start_paused = true)]
async fn a_missed_timeout_ends_a_fail_fast_scope_with_that_deadline_and_names_the_child() {
    let (start, live) = (Instant::now(), Live::new());
    let guard = live.one();
    let spawned = line!() + 2;
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.task().name("fetch").timeout(SECOND).spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        n.spawn(sleep(60 * SECOND));
        pending().await
    })
    .named("page")
    .outcome()
    .await;
    assert_eq!((start.elapsed(), live.count()), (SECOND, 0));
    assert_eq!(outcome.kind(), OutcomeKind::DeadlineExceeded);
    let cancelled = outcome.cancelled().unwrap();
    assert_eq!((cancelled.reason(), cancelled.is_inherited()), (Reason::Deadline, false));
    assert_eq!(cancelled.culprit().unwrap().name(), Some("fetch"));
    let (message, place) = (cancelled.to_string(), format!("attributes.rs:{spawned}:"));
    assert!(message.starts_with("deadline of 1s of child `fetch` (") && message.contains(&place), "{message}");
    assert!(message.contains("expired in scope `page`"), "{message}");
    assert_eq!((outcome.report().failed, outcome.report().cancelled), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn under_supervise_and_for_isolated_children_a_missed_timeout_goes_to_whoever_joins() {
    let outcome = nursery!(async |n| -> Result<(), String> {
        let joined = n.task().name("joined").timeout(SECOND).spawn(pending::<()>());
        n.task().name("unread").timeout(2 * SECOND).spawn(pending::<()>());
        match joined.join().await {
            Err(Failure::Cancelled(cancelled)) => {
                assert!(cancelled.is_deadline() && !cancelled.is_inherited());
                assert_eq!(cancelled.origin().name(), Some("joined"));
                assert!(cancelled.origin().place().file().ends_with("attributes.rs"));
            }
            other => panic!("{other:?}"),
        }
        assert!(!n.is_cancelled());
        Ok(())
    })
    .policy(Supervise)
    .outcome()
    .await;
    assert_eq!(outcome.kind(), OutcomeKind::Partial, "{outcome:?}");
    assert!(matches!(outcome.failures(), [Failure::Cancelled(late)] if late.origin().name() == Some("unread")));

    let isolated = nursery!(async |n| -> Result<bool, String> {
        let child = n.task().isolated().timeout(SECOND).spawn(pending::<()>());
        Ok(matches!(child.join().await, Err(Failure::Cancelled(late)) if late.is_deadline()))
    })
    .outcome()
    .await;
    assert_eq!((isolated.kind(), isolated.into_value()), (OutcomeKind::Ok, Some(true)));
}

#[tokio::test(start_paused = true)]
async fn a_policy_judges_a_missed_timeout_as_any_failure() {
    for (verdict, kind) in [(Verdict::Continue, OutcomeKind::Partial), (Verdict::Cancel, OutcomeKind::DeadlineExceeded)]
    {
        let outcome = nursery!(async |n| -> Result<(), String> {
            n.task().timeout(SECOND).spawn(pending::<()>());
            Ok(())
        })
        .policy(policy_fn(move |_: &sc_tokio::ChildExit<'_, String>| verdict))
        .outcome()
        .await;
        assert_eq!(outcome.kind(), kind, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_child_that_is_a_future_can_have_a_timeout() {
    let text = String::from("outside");
    for kind in 0..4 {
        let start = Instant::now();
        let outcome = nursery!(async |n| -> Result<(), String> {
            let task = n.task().timeout(SECOND);
            match kind {
                0 => drop(task.spawn(pending::<()>())),
                1 => drop(task.spawn_with(async |_: &Scope<String>| pending::<()>().await)),
                2 => drop(task.spawn_borrowed(async {
                    sleep(u32::try_from(text.len()).unwrap() * SECOND).await;
                })),
                _ => {
                    drop(task.daemon().spawn(pending::<()>()));
                    sleep(5 * SECOND).await;
                }
            }
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!((start.elapsed(), outcome.kind()), (SECOND, OutcomeKind::DeadlineExceeded), "kind {kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn values_errors_and_panics_in_time_are_the_childs_own() {
    let value = nursery!(async |n| -> Result<u8, String> {
        let child = n.task().timeout(SECOND).spawn(async {
            sleep(SECOND / 2).await;
            Ok(7)
        });
        Ok(child.await)
    })
    .outcome()
    .await;
    assert_eq!(value.into_value(), Some(7));
    let failed = nursery!(async |n| -> Result<(), String> {
        n.task().timeout(SECOND).spawn(async { Err::<(), _>(String::from("its error")) });
        Ok(())
    })
    .outcome()
    .await;
    assert!(matches!(failed.failures(), [Failure::Error(error)] if error == "its error"));
    let panicked = nursery!(async |n| -> Result<(), String> {
        n.task().name("loud").timeout(SECOND).spawn(async {
            sleep(SECOND / 2).await;
            assert_eq!(sc_tokio::deadline(), None, "its panic");
        });
        Ok(())
    })
    .outcome()
    .await;
    assert!(matches!(panicked.failures(), [Failure::Panic(panic)] if panic.message().unwrap().contains("its panic")));
    assert_eq!(panicked.report().failed_members[0].name(), Some("loud"));
}

#[tokio::test(start_paused = true)]
async fn inside_the_deadline_is_seen_and_what_is_spawned_there_ends_with_it() {
    let (start, live) = (Instant::now(), Live::new());
    let guard = live.one();
    let outcome = nursery!(async |n| -> Result<(), String> {
        let child = n.task().isolated().timeout(SECOND).spawn(async move {
            assert_eq!(sc_tokio::deadline(), Some(start + SECOND));
            assert_eq!(sc_tokio::current().unwrap().place().line(), line!() - 2);
            sc_tokio::spawn(async move {
                let _guard = guard;
                assert_eq!(sc_tokio::remaining(), Some(SECOND));
                pending::<()>().await;
            });
        });
        assert_eq!(n.deadline(), None);
        assert!(child.join().await.is_err(), "what it spawned did not end in time");
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!((outcome.is_ok(), start.elapsed(), live.count()), (true, SECOND, 0));
}

#[tokio::test(start_paused = true)]
async fn time_in_the_queue_of_a_limit_does_not_count() {
    let start = Instant::now();
    nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(sleep(5 * SECOND));
        let queued = n.task().timeout(2 * SECOND).spawn(async {
            sleep(SECOND).await;
            Ok(())
        });
        queued.await;
        Ok(())
    })
    .limit(1)
    .await
    .unwrap();
    assert_eq!(start.elapsed(), 6 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_from_above_is_not_the_childs_failure() {
    // Of two that expire together the outermost is the one that expired (P8).
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.task().name("child").timeout(SECOND).spawn(pending::<()>());
        pending().await
    })
    .named("scope")
    .timeout(SECOND)
    .outcome()
    .await;
    let cancelled = outcome.cancelled().unwrap();
    assert_eq!((cancelled.origin().name(), cancelled.culprit()), (Some("scope"), None));
    assert_eq!((outcome.report().failed, outcome.report().cancelled), (0, 1));
    assert!(outcome.failures().is_empty());

    let stopped = nursery!(async |n| -> Result<(), Cancelled> {
        n.task().daemon().timeout(60 * SECOND).spawn(pending::<()>());
        let child = n.task().timeout(60 * SECOND).spawn(pending::<()>());
        sleep(SECOND).await;
        child.cancel().await;
        n.task().timeout(60 * SECOND).spawn(pending::<()>());
        sleep(SECOND).await;
        n.cancel_children("enough");
        n.task().daemon().timeout(60 * SECOND).spawn(pending::<()>());
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!((stopped.kind(), stopped.report().cancelled), (OutcomeKind::Ok, 4));
}

#[tokio::test(start_paused = true)]
async fn a_child_with_a_timeout_that_awaits_a_dead_sibling_shares_its_fate() {
    let outcome = nursery!(async |n| -> Result<(), String> {
        n.task().timeout(60 * SECOND).spawn_with(async |n: &Scope<String>| {
            let sibling = n.spawn(pending::<()>());
            n.cancel_children("both are present");
            sibling.await;
        });
        n.task().isolated().timeout(60 * SECOND).spawn_with(async |n: &Scope<String>| {
            let sibling = n.task().isolated().spawn(async { Err::<(), _>(String::from("of the sibling")) });
            sibling.await;
        });
        Ok(())
    })
    .outcome()
    .await;
    assert!(outcome.is_ok() || outcome.kind() == OutcomeKind::Partial, "{outcome:?}");
    let start = Instant::now();
    let alone = nursery!(async |n| -> Result<(), String> {
        let child = n.task().isolated().timeout(60 * SECOND).spawn_with(async |n: &Scope<String>| {
            let sibling = n.task().isolated().spawn(async { Err::<(), _>(String::from("of the sibling")) });
            sibling.await;
        });
        assert!(matches!(child.join().await, Err(Failure::Cancelled(why)) if why.reason() == Reason::AwaitedChild));
        Ok(())
    })
    .outcome()
    .await;
    assert!(matches!(alone.failures(), [Failure::Error(error)] if error == "of the sibling"), "{alone:?}");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_polls_once_and_one_too_long_is_none() {
    let outcome = nursery!(async |n| -> Result<u8, String> {
        let ready = n.task().timeout(Duration::ZERO).spawn(async { Ok(1) });
        let value = ready.await;
        n.task().isolated().timeout(Duration::MAX).spawn(async {
            assert_eq!(sc_tokio::deadline(), None);
        });
        let late = n.task().isolated().timeout(Duration::ZERO).spawn(async { tokio::task::yield_now().await });
        assert!(matches!(late.join().await, Err(Failure::Cancelled(late)) if late.is_deadline()));
        Ok(value)
    })
    .outcome()
    .await;
    assert_eq!((outcome.kind(), outcome.into_value()), (OutcomeKind::Ok, Some(1)));
}

#[test]
fn blocking_code_looks_at_its_own_deadline_and_its_end_is_what_it_returns() {
    both_flavours(|| async {
        let spin = |cx: &BlockingCx| loop {
            if let Err(late) = cx.check() {
                return late;
            }
            std::thread::yield_now();
        };
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let late = n.task().name("digest").timeout(Duration::ZERO).spawn_blocking(move |cx| {
                assert_eq!((cx.remaining(), cx.is_cancelled()), (Some(Duration::ZERO), true));
                Ok(spin(cx))
            });
            let late = late.await; // a value, late as it is
            assert!(
                late.is_deadline() && late.to_string().starts_with("deadline of 0ns of child `digest` ("),
                "{late}"
            );
            let far = n.task().timeout(Duration::MAX).spawn_blocking(|cx| Ok((cx.remaining(), cx.is_cancelled())));
            assert_eq!(far.await, (None, false));
            n.task().timeout(Duration::ZERO).spawn_blocking(BlockingCx::check);
            pending().await
        })
        .outcome()
        .await;
        assert!(matches!(outcome.failures(), [Failure::Error(late)] if late.is_deadline()), "{outcome:?}");
    });
}

// What a handle tells.

#[tokio::test]
async fn a_handle_tells_number_place_and_end() {
    fn show<T, E>(child: &Child<'_, T, E>) -> String {
        format!("{child:?}")
    }
    nursery!(async |n| -> Result<(), Cancelled> {
        let line = line!() + 1;
        let child = n.task().name("named").spawn(async { Ok(()) });
        let other = n.spawn(pending::<()>());
        assert_eq!((child.id().unwrap().get(), other.id().unwrap().get()), (0, 1));
        assert_eq!((child.place().line(), other.place().line()), (line, line + 1));
        assert!(!child.is_finished());
        tokio::task::yield_now().await;
        assert!(child.is_finished() && !other.is_finished());
        let shown = show(&child);
        assert!(shown.contains("ChildId(0)") && shown.contains(&format!("attributes.rs:{line}")), "{shown}");
        assert!(shown.contains("is_finished: true"), "{shown}");
        other.cancel().await;
        n.cancel("stop");
        let refused = n.spawn(async { Ok(()) });
        assert_eq!((refused.id(), refused.is_finished(), refused.place().line()), (None, true, line!() - 1));
        assert!(show(&refused).contains("None"));
        Ok(())
    })
    .outcome()
    .await
    .into_value()
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn any_text_is_a_name() {
    let names = [String::new(), "two\nlines".into(), "`quoted` \u{1f980}".into(), "x".repeat(10_000)];
    for name in names {
        let place = Arc::new(Mutex::new(None));
        let outcome = nursery!(async |n| -> Result<(), String> {
            let child = n.task().name(name.clone()).timeout(SECOND).spawn(pending::<()>());
            *place.lock().unwrap() = Some(child.place());
            Ok(())
        })
        .outcome()
        .await;
        let culprit = outcome.cancelled().unwrap().culprit().unwrap().clone();
        assert_eq!((culprit.name(), culprit.place()), (Some(name.as_str()), *place.lock().unwrap()));
    }
}

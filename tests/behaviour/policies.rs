//! Policies: fail-fast, supervise, one's own; linked and isolated children; who owns a failure.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sc_tokio::{Cancelled, ChildExit, Failure, OutcomeKind, Reason, Supervise, Verdict, nursery, policy_fn};
use tokio::task::yield_now;

use crate::support::both_flavours;

#[test]
fn under_supervise_siblings_go_on_and_the_joiner_gets_the_error() {
    both_flavours(|| async {
        let outcome = nursery!(<Supervise> async |n| -> Result<u8, String> {
            let bad = n.spawn(async { Err::<(), _>(String::from("bad")) });
            let good = n.spawn(async {
                for _ in 0..5 {
                    yield_now().await;
                }
                Ok(1)
            });
            assert!(matches!(bad.join().await, Err(Failure::Error(e)) if e == "bad"));
            Ok(good.await)
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok, "the joiner took it");
        assert_eq!((outcome.report().failed, outcome.report().succeeded), (1, 1));
    });
}

#[test]
fn a_failure_nobody_joins_is_one_of_the_further_failures() {
    both_flavours(|| async {
        for keep_handle in [true, false] {
            let outcome = nursery!(<Supervise> async |n| -> Result<u8, String> {
                let bad = n.task().name("bad").spawn(async { Err::<(), _>(String::from("unread")) });
                if keep_handle {
                    while !bad.is_finished() {
                        yield_now().await;
                    }
                }
                drop(bad);
                Ok(1)
            })
            .outcome()
            .await;
            assert_eq!(outcome.kind(), OutcomeKind::Partial);
            assert!(matches!(outcome.failures(), [Failure::Error(e)] if e == "unread"));
            assert_eq!(outcome.report().failed_members[0].name(), Some("bad"));
            assert_eq!(outcome.into_primary().0.unwrap(), 1);
        }
    });
}

#[test]
fn a_panic_under_supervise_is_the_joiners_too() {
    both_flavours(|| async {
        let value = nursery!(<Supervise> async |n| -> Result<u8, Cancelled> {
            let bad = n.spawn(async { panic!("caught") });
            let failure = bad.join().await.err().unwrap();
            assert_eq!(failure.as_panic().unwrap().message(), Some("caught"));
            Ok(1)
        })
        .await;
        assert_eq!(value.unwrap(), 1);
    });
}

#[test]
fn the_bodys_own_failure_ends_a_supervised_scope() {
    both_flavours(|| async {
        let outcome = nursery!(<Supervise> async |n| -> Result<(), String> {
            n.spawn(pending::<()>());
            Err(String::from("body"))
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
    });
}

#[test]
fn an_isolated_childs_failure_is_not_the_scopes() {
    both_flavours(|| async {
        let value = nursery!(async |n| -> Result<u8, String> {
            let bad = n.task().isolated().spawn(async { Err::<(), _>(String::from("mine")) });
            assert!(matches!(bad.join().await, Err(Failure::Error(e)) if e == "mine"));
            let good = n.spawn(async { Ok(1) });
            Ok(good.await)
        })
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(value.unwrap(), 1);
    });
}

#[test]
fn joining_under_fail_fast_observes_and_does_not_forgive() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<(), String> {
            let bad = n.spawn(async { Err::<(), _>(String::from("bad")) });
            assert!(matches!(bad.join().await, Err(Failure::OwnedByScope)));
            Ok(())
        })
        .grace(std::time::Duration::from_secs(3600))
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(result.unwrap_err(), "bad");
    });
}

#[test]
fn an_error_budget_tolerates_the_first_failures() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), u32> {
            for i in 0..5 {
                n.spawn(async move { Err::<(), _>(i) });
                yield_now().await;
            }
            pending().await
        })
        .policy(policy_fn(|exit| if exit.failures_before() < 2 { Verdict::Continue } else { Verdict::Cancel }))
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        assert_eq!(outcome.cancelled().unwrap().reason(), Reason::Policy);
        assert!(outcome.failures().len() >= 3, "two tolerated, one primary: {outcome:?}");
    });
}

#[test]
fn a_policy_judges_by_the_kind_of_error_and_the_joiner_waits_for_it() {
    both_flavours(|| async {
        let value = nursery!(async |n| -> Result<u8, u32> {
            let tolerated = n.spawn(async { Err::<(), _>(404) });
            assert!(matches!(tolerated.join().await, Err(Failure::Error(404))));
            Ok(1)
        })
        .policy(policy_fn(
            |exit: &ChildExit<'_, u32>| {
                if exit.error() == Some(&404) { Verdict::Continue } else { Verdict::Cancel }
            },
        ))
        .map_cancelled(|_| 0)
        .await;
        assert_eq!(value, Ok(1));
    });
}

#[test]
fn a_policy_that_watches_all_exits_can_end_the_scope_at_a_success() {
    both_flavours(|| async {
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn(async {});
            pending().await
        })
        .policy(
            policy_fn(move |exit| {
                counter.fetch_add(1, Ordering::SeqCst);
                if exit.failure().is_none() { Verdict::Cancel } else { Verdict::Continue }
            })
            .all_exits(),
        )
        .await;
        assert_eq!(result.unwrap_err().reason(), Reason::Policy);
        assert_eq!(seen.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_policy_may_call_into_its_own_scope_and_its_panic_is_a_failure() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), u32> {
            n.spawn(async { Err::<(), _>(1) });
            pending().await
        })
        .policy(policy_fn(|_exit| panic!("the policy itself")))
        .outcome()
        .await;
        assert_eq!(outcome.failures()[0].as_panic().unwrap().message(), Some("the policy itself"));
        assert!(outcome.failures().iter().any(|failure| failure.as_error() == Some(&1)), "{outcome:?}");
    });
}

//! Policies: fail-fast, supervise, one's own; linked and isolated children; who owns a failure.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use sc_tokio::{
    Cancelled, Canceller, ChildExit, Failure, OutcomeKind, Reason, Role, Scope, Supervise, Verdict, nursery, policy_fn,
};
use tokio::task::yield_now;

use crate::support::{Live, Log, Watchdog, both_flavours};

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
fn a_policys_panic_is_a_failure_beside_the_one_it_looked_at() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), u32> {
            n.spawn(async { Err::<(), _>(1) });
            pending().await
        })
        .policy(policy_fn(|_exit| panic!("the policy itself")))
        .outcome()
        .await;
        assert_eq!(outcome.failures()[0].as_panic().unwrap().message(), Some("the policy itself"));
        assert_eq!(outcome.report().failed_members[0].role(), Role::Policy);
        assert_eq!((outcome.kind(), outcome.report().panicked), (OutcomeKind::Failed, 0), "no child panicked");
        assert!(outcome.to_string().starts_with("failed: the policy in scope "), "{outcome}");
        assert!(outcome.failures().iter().any(|failure| failure.as_error() == Some(&1)), "{outcome:?}");
    });
}

#[test]
fn an_error_budget_counts_every_failure_and_tells_who_broke_it() {
    both_flavours(|| async {
        for budget in [0, 1, 5] {
            let outcome = nursery!(async |n| -> Result<(), u64> {
                for i in 0..20 {
                    let child = n
                        .task()
                        .name(format!("{i}"))
                        .spawn(async move { if i % 2 == 0 { Err::<(), _>(i) } else { panic!("also one") } });
                    while !child.is_finished() && !n.is_cancelled() {
                        yield_now().await;
                    }
                }
                pending().await
            })
            .policy(policy_fn(
                move |exit| {
                    if exit.failures_before() < budget { Verdict::Continue } else { Verdict::Cancel }
                },
            ))
            .outcome()
            .await;
            assert_eq!((outcome.kind(), outcome.failures().len() as u64), (OutcomeKind::Failed, budget + 1));
            let (primary, culprit) = (&outcome.report().failed_members[0], outcome.cancelled().unwrap().culprit());
            assert_eq!((primary.name(), culprit), (Some(format!("{budget}").as_str()), Some(primary)));
        }
    });
}

#[test]
fn it_sees_linked_children_until_the_cancellation_and_nobody_else() {
    both_flavours(|| async {
        let log = Log::new();
        let seen = log.clone();
        let outcome = nursery!(async |n| -> Result<(), &'static str> {
            let run = async |child: sc_tokio::Child<'_, (), &'static str>| {
                while !child.is_finished() {
                    yield_now().await;
                }
            };
            run(n.task().name("ok").spawn(async {})).await;
            run(n.task().name("err").spawn(async { Err("no") })).await;
            run(n.task().name("isolated").isolated().spawn(async { Err("mine") })).await;
            run(n.task().name("daemon").daemon().spawn(async { Err("daemon") })).await;
            run(n.task().name("blocking").spawn_blocking(|_cx| Err("blocking"))).await;
            let borrowed = n.task().name("borrowed").spawn_borrowed(async { Err::<(), _>("borrowed") });
            assert!(borrowed.join().await.is_err());
            let stopped = n.task().name("stopped").spawn(async {
                sc_tokio::cancelled().await;
                pending::<()>().await;
            });
            drop(stopped.cancel()); // in its grace until the scope ends
            n.task().name("after").spawn_with(async |n: &Scope<&'static str>| {
                n.cancelled().await;
                Err::<(), _>("too late to be judged")
            });
            yield_now().await;
            Err("the body")
        })
        .policy(
            policy_fn(move |exit| {
                let how = exit.failure().map_or("ok", |failure| if failure.is_panic() { "panic" } else { "err" });
                seen.add(format!("{} {how} {}", exit.member().name().unwrap_or("?"), exit.failures_before()));
                Verdict::Continue
            })
            .all_exits(),
        )
        .grace(Duration::from_millis(5))
        .outcome()
        .await;
        // The isolated child's counts among those before; of a stopped child there is nothing to judge.
        let judged = ["ok ok 0", "err err 0", "daemon err 2", "blocking err 3", "borrowed err 4"];
        assert_eq!(log.entries().into_iter().filter(|entry| !entry.starts_with('?')).collect::<Vec<_>>(), judged);
        assert!(matches!(outcome.failures()[0], Failure::Error("the body")), "{outcome}");
    });
}

#[test]
fn a_policy_may_use_its_scope_and_never_runs_under_a_lock() {
    both_flavours(|| async {
        let (button, live) = (Arc::new(OnceLock::<Canceller>::new()), Live::new());
        let (pressed, counted) = (Arc::clone(&button), live.clone());
        let outcome = nursery!(async |n| -> Result<(), u32> {
            button.set(n.canceller()).unwrap();
            n.spawn(async { Err::<(), _>(1) });
            n.spawn_borrowed(async { Err::<(), _>(2) });
            pending().await
        })
        .named("judged")
        .policy(policy_fn(move |exit| {
            assert_eq!(sc_tokio::current().unwrap().name(), Some("judged"), "wherever the exit happened");
            assert!(sc_tokio::tree().to_string().contains("judged"));
            let guard = counted.one();
            sc_tokio::spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            if exit.failures_before() > 0 {
                pressed.get().unwrap().cancel("the policy pressed it");
                assert!(sc_tokio::is_cancelled());
            }
            Verdict::Continue
        }))
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Cancelled, "{outcome}");
        assert_eq!(outcome.cancelled().unwrap().reason(), Reason::Requested, "the verdicts were to continue");
        assert_eq!((live.count(), outcome.failures().len()), (0, 2), "its tasks belong to the scope");
    });
}

#[test]
fn while_a_policy_blocks_exits_queue_up_and_nobody_else_waits() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    let (entered, inside) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let test = async move {
        nursery!(async |n| -> Result<(), u32> {
            let first = n.spawn_blocking(|_cx| Err::<(), _>(1));
            let inside = sc_tokio::spawn_blocking(move || inside.recv().unwrap()).await; // it blocks from now on
            inside.unwrap();
            let second = n.spawn(async { Err::<(), _>(2) });
            let ok = n.spawn(async { Ok(3) }).await;
            while !second.is_finished() {
                yield_now().await;
            }
            let (tree, alive) = (sc_tokio::tree().to_string(), n.len());
            assert!(tree.contains("judged") && ok == 3 && alive <= 1, "{alive}");
            let (mut first, mut second) = (Box::pin(first.join()), Box::pin(second.join()));
            assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
            release.send(()).unwrap();
            assert!(matches!(first.await, Err(Failure::Error(1))));
            assert!(matches!(second.await, Err(Failure::Error(2))));
            Ok(())
        })
        .named("judged")
        .policy(policy_fn(move |exit| {
            if exit.error() == Some(&1) {
                entered.send(()).unwrap();
                gate.recv().unwrap();
            }
            Verdict::Continue
        }))
        .outcome()
        .await
    };
    let outcome = runtime.block_on(async { tokio::spawn(test).await.unwrap() });
    assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome}");
}

#[test]
fn a_panic_of_the_policy_over_a_success_cancels_too_and_its_destructors_panic_is_told() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the policy's state");
        }
    }
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<u8, u32> {
            n.spawn(async {});
            pending().await
        })
        .policy(policy_fn(|_exit| panic!("over a success")).all_exits())
        .outcome()
        .await;
        assert_eq!((outcome.kind(), outcome.failures().len()), (OutcomeKind::Failed, 1), "{outcome}");
        assert_eq!(outcome.failures()[0].as_panic().unwrap().message(), Some("over a success"));
        // Every exit after it finds the scope cancelled; the policy is not asked again.
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let outcome = nursery!(async |n| -> Result<u8, u32> {
            for i in 0..5 {
                n.spawn_borrowed(async move { Err::<(), _>(i) });
            }
            pending().await
        })
        .policy(policy_fn(move |_exit| {
            counter.fetch_add(1, Ordering::SeqCst);
            panic!("once")
        }))
        .outcome()
        .await;
        assert_eq!((asked.load(Ordering::SeqCst), outcome.kind()), (1, OutcomeKind::Failed), "{outcome}");
        let bomb = Bomb;
        let outcome = nursery!(async |_n| -> Result<u8, u32> { Ok(7) })
            .named("with a bomb")
            .policy(policy_fn(move |_exit| {
                let _ = &bomb;
                Verdict::Continue
            }))
            .outcome()
            .await;
        assert_eq!(outcome.value(), Some(&7), "the books were closed before it was dropped; the hook is told");
    });
}

#[test]
fn a_custom_policy_survives_the_drop_of_its_scope() {
    both_flavours(|| async {
        let log = Log::new();
        let seen = log.clone();
        nursery!(async |_n| -> Result<(), u32> {
            let inner = nursery!(async |n| -> Result<(), u32> {
                n.spawn_with(async |n: &Scope<u32>| {
                    n.cancelled().await;
                    Err::<(), _>(1)
                });
                yield_now().await;
                pending().await
            })
            .grace(Duration::from_secs(3600))
            .policy(policy_fn(move |_exit| {
                seen.add("asked");
                Verdict::Cancel
            }))
            .outcome();
            let mut inner = Box::pin(inner);
            for _ in 0..3 {
                assert!(futures::poll!(&mut inner).is_pending());
                yield_now().await;
            }
            drop(inner);
            Ok(())
        })
        .map_cancelled(|_| 0)
        .await
        .unwrap();
        assert!(log.entries().is_empty(), "after the cancellation there is nothing left to decide");
    });
}

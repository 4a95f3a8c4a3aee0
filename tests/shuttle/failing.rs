//! Failures that meet: each is delivered once, to somebody (P4, P5).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sc_tokio::explored::preempt;
use sc_tokio::{Cancelled, ChildExit, Failure, OutcomeKind, Reason, Scope, Supervise, Verdict, policy_fn, scope};
use shuttle_tokio::sync::oneshot;

use crate::support::{Flag, Live, Seen, a_few, block_on, explore, linger, outside, pause, poll_until};

/// Whose error it is.
type Name = &'static str;

fn errors(failures: &[Failure<Name>]) -> Vec<Name> {
    failures.iter().map(|failure| *failure.as_error().expect("only errors here")).collect()
}

/// Two children fail, each noting that it did.
fn two_failures(seen: &Seen) {
    let (a, b, live) = (Flag::default(), Flag::default(), Live::default());
    let outcome = block_on(
        scope(async |s: &Scope<Name>| {
            for (name, failed) in [("a", &a), ("b", &b)] {
                let (failed, alive) = (failed.clone(), live.value());
                let child = s.spawn(async move {
                    let _alive = alive;
                    failed.raise();
                    Err::<(), _>(name)
                });
                drop(child);
            }
            Ok(())
        })
        .outcome(),
    );
    assert_eq!(outcome.kind(), OutcomeKind::Failed);
    assert_eq!(live.count(), 0, "the scope waited for both");
    let cancelled = outcome.cancelled().expect("the first failure cancelled the scope");
    assert_eq!(cancelled.reason(), Reason::ChildFailed);
    let errors = errors(outcome.failures());
    let delivered: BTreeSet<Name> = errors.iter().copied().collect();
    let failed: BTreeSet<Name> = [("a", a), ("b", b)].into_iter().filter(|(_, f)| f.is_up()).map(|(n, _)| n).collect();
    assert_eq!(delivered, failed, "what failed is delivered");
    assert_eq!(delivered.len(), errors.len(), "and only once");
    seen.saw(match *errors {
        ["a", "b"] => "a, then b",
        ["b", "a"] => "b, then a",
        ["a"] => "a, and b was stopped",
        ["b"] => "b, and a was stopped",
        _ => unreachable!("{errors:?}"),
    });
}

#[test]
fn of_two_failures_the_first_is_primary_and_the_other_is_kept() {
    explore(&["a, then b", "b, then a", "a, and b was stopped", "b, and a was stopped"], two_failures);
}

#[test]
fn a_failure_that_meets_a_cancellation_is_delivered_all_the_same() {
    explore(&["failed first", "failed while cancelled", "stopped"], |seen| {
        let failed = Flag::default();
        let outcome = block_on(async {
            let mut canceller = None;
            let outcome = scope(async |s: &Scope<Name>| {
                let stop = s.canceller();
                canceller = Some(outside(async move {
                    linger().await;
                    stop.cancel("enough");
                }));
                let in_child = failed.clone();
                let child = s.spawn(async move {
                    in_child.raise();
                    Err::<(), _>("a")
                });
                drop(child);
                Ok(())
            })
            .outcome()
            .await;
            canceller.expect("the body ran").await.unwrap();
            outcome
        });
        let cancelled = outcome.cancelled().expect("cancelled by the one or the other").reason();
        if failed.is_up() {
            assert_eq!(errors(outcome.failures()), ["a"]);
            seen.saw(match (outcome.kind(), cancelled) {
                (OutcomeKind::Failed, Reason::ChildFailed) => "failed first",
                (OutcomeKind::Cancelled, Reason::Requested) => "failed while cancelled",
                other => unreachable!("{other:?}"),
            });
        } else {
            assert!(outcome.failures().is_empty());
            assert_eq!((outcome.kind(), cancelled), (OutcomeKind::Cancelled, Reason::Requested));
            seen.saw("stopped");
        }
    });
}

/// Under `Supervise`, somebody waits for a failing child and gives up waiting.
fn claim_against_release(seen: &Seen) {
    let joined = Flag::default();
    let outcome = block_on(async {
        let (enough, had_enough) = oneshot::channel::<()>();
        let impatient = outside(async move {
            linger().await;
            enough.send(())
        });
        let outcome = scope(async |s: &Scope<Name>| {
            let child = s.spawn(async {
                pause().await;
                Err::<(), _>("a")
            });
            if let Some(result) = poll_until(child.join(), had_enough).await {
                assert_eq!(result.unwrap_err().as_error(), Some(&"a"));
                joined.raise();
            }
            Ok(())
        })
        .policy(Supervise)
        .outcome()
        .await;
        let _ = impatient.await.unwrap();
        outcome
    });
    if joined.is_up() {
        assert!(outcome.failures().is_empty(), "the joiner has it");
        seen.saw("joined");
    } else {
        assert_eq!(errors(outcome.failures()), ["a"], "nobody joined, so that the outcome keeps it");
        seen.saw("kept");
    }
}

#[test]
fn a_supervised_failure_goes_to_its_joiner_or_to_the_outcome() {
    explore(&["joined", "kept"], claim_against_release);
}

/// A child waits for a sibling that is stopped, or fails, under it.
fn awaiting_the_dead(seen: &Seen) {
    let (went_on, live) = (Flag::default(), Live::default());
    let outcome = block_on(
        scope(async |s: &Scope<Name>| {
            let (after, alive) = (went_on.clone(), live.value());
            let waiter = s.spawn_with(async move |s: &Scope<Name>| {
                let _alive = alive;
                let failing = s.spawn(async {
                    pause().await;
                    Err::<(), _>("a")
                });
                failing.await;
                after.raise();
            });
            drop(waiter);
            linger().await;
            s.cancel_children("enough of you");
            Ok(())
        })
        .outcome(),
    );
    assert!(!went_on.is_up(), "whoever awaits a child without a value does not go on");
    assert_eq!(live.count(), 0, "and does not hang either");
    let errors = errors(outcome.failures());
    seen.saw(match (outcome.kind(), &*errors) {
        (OutcomeKind::Failed, ["a"]) => "the child failed",
        // What fails after it was told to stop fails nobody, and is not lost.
        (OutcomeKind::Partial, ["a"]) => "the child failed when it was stopped",
        (OutcomeKind::Ok, []) => "both were stopped",
        other => unreachable!("{other:?}"),
    });
}

#[test]
fn awaiting_a_child_that_dies_meanwhile_never_hangs() {
    explore(&["the child failed", "the child failed when it was stopped", "both were stopped"], awaiting_the_dead);
}

#[test]
fn a_panic_that_meets_a_panic_is_kept_too() {
    explore(&["both", "one"], |seen| {
        let live = Live::default();
        let outcome = block_on(
            scope(async |s: &Scope<Cancelled>| {
                for number in 0..2 {
                    let alive = live.value();
                    let child = s.spawn(async move {
                        let _alive = alive;
                        // Without the panic hook, which would report each schedule.
                        std::panic::resume_unwind(Box::new(number));
                    });
                    drop(child);
                }
                Ok(())
            })
            .outcome(),
        );
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        assert_eq!(live.count(), 0, "the scope waited for both");
        assert!(outcome.failures().iter().all(Failure::is_panic));
        seen.saw(["none", "one", "both"][outcome.failures().len()]);
    });
}

/// Asks a policy about every exit of three children, two of which fail.
fn a_policy_at_work(seen: &Seen) {
    let (live, busy, judged) = (Live::default(), Flag::default(), Arc::new(Mutex::new(Vec::new())));
    let (alive, answers) = (live.value(), Arc::clone(&judged));
    let policy = policy_fn(move |exit: &ChildExit<'_, Name>| {
        assert!(!busy.is_up(), "a policy is asked about one exit at a time");
        busy.raise();
        preempt();
        busy.lower();
        let _ = &alive;
        answers.lock().unwrap().push(exit.failure().and_then(Failure::as_error).copied());
        Verdict::Continue
    });
    let outcome = block_on(
        scope(async |s: &Scope<Name>| {
            for result in [Ok(()), Err("a"), Err("b")] {
                let child = s.spawn(async move { result });
                drop(child);
            }
            Ok(())
        })
        .policy(policy.all_exits())
        .outcome(),
    );
    assert_eq!(live.count(), 0, "a policy is dropped before its scope resolves");
    assert_eq!(outcome.kind(), OutcomeKind::Partial);
    let mut kept = errors(outcome.failures());
    kept.sort_unstable();
    assert_eq!(kept, ["a", "b"], "what the policy continued past is kept");
    let judged = judged.lock().unwrap();
    let exits: BTreeSet<Option<Name>> = judged.iter().copied().collect();
    assert!(judged.len() == 3 && exits.len() == 3, "each exit is judged once: {judged:?}");
    seen.saw(match **judged {
        [None, ..] => "the success first",
        [_, None, _] => "the success between",
        _ => "the success last",
    });
}

#[test]
fn a_policy_is_asked_about_each_exit_once() {
    explore(&["the success first", "the success between", "the success last"], a_policy_at_work);
}

#[test]
fn a_failure_that_is_still_being_judged_is_waited_for() {
    explore(&["in order", "in the other order"], |seen| {
        let judged = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::clone(&judged);
        let policy = policy_fn(move |exit: &ChildExit<'_, Name>| {
            // The exit that is judged meanwhile waits for its turn, and its handle with it.
            (0..a_few()).for_each(|_| preempt());
            answers.lock().unwrap().extend(exit.failure().and_then(Failure::as_error));
            Verdict::Continue
        });
        let outcome = block_on(
            scope(async |s: &Scope<Name>| {
                // In a child: whatever happens in a scope wakes its body, which would hide a missed wake-up.
                let joiner = s.spawn_with(async |s: &Scope<Name>| {
                    let children = ["a", "b"].map(|name| {
                        let failing = async move {
                            linger().await;
                            Err::<(), _>(name)
                        };
                        (name, s.spawn(failing))
                    });
                    let mut joined = 0;
                    for (name, child) in children {
                        joined += usize::from(child.join().await.unwrap_err().as_error() == Some(&name));
                    }
                    Ok(joined)
                });
                Ok(joiner.await)
            })
            .policy(policy)
            .outcome(),
        );
        assert_eq!(outcome.value(), Some(&2), "the joiner has both");
        assert!(outcome.failures().is_empty(), "and nobody else");
        seen.saw(match **judged.lock().unwrap() {
            ["a", "b"] => "in order",
            ["b", "a"] => "in the other order",
            ref impossible => unreachable!("{impossible:?}"),
        });
    });
}

//! The few steps in which a child is let in, and those in which it is found out whose its failure is (P4, P7).

use std::future::pending;

use sc_tokio::explored::preempt;
use sc_tokio::{Cancelled, ChildExit, Failure, Scope, Verdict, policy_fn, scope};

use crate::support::{Flag, Live, Seen, a_few, block_on, explore_more};

/// A child is let in while all who are present are told to stop. It compares the word with the one that it saw
/// when it was let in. If it saw that after it was counted, it would not look for what it was told as one of those
/// who are present; and since it was told, its handle could not stop it either.
pub(crate) fn count_and_word(seen: &Seen) {
    let (live, begun, done) = (Live::default(), Flag::default(), Flag::default());
    let (mut before, mut after) = (false, false);
    let result: Result<(), Cancelled> = block_on(
        scope(async |s: &Scope<Cancelled>| {
            let (begin, end) = (begun.clone(), done.clone());
            let stopper = s.spawn_with(async move |s: &Scope<Cancelled>| {
                (0..a_few()).for_each(|_| preempt());
                begin.raise();
                s.cancel_children("all of you");
                end.raise();
            });
            (0..2 * a_few()).for_each(|_| preempt());
            let alive = live.value();
            after = done.is_up();
            let child = s.spawn(async move {
                let _alive = alive;
                pending::<()>().await;
            });
            before = !begun.is_up();
            let _ = stopper.join().await;
            // Told or not, this ends it.
            child.cancel().await;
            assert_eq!(live.count(), 0);
            Ok(())
        })
        .into_future(),
    );
    assert!(result.is_ok(), "children stopped from inside are no failure");
    seen.saw(match (before, after) {
        (true, _) => "present",
        (false, true) => "came later",
        (false, false) => "came meanwhile",
    });
}

#[test]
fn a_child_that_is_counted_as_present_is_told() {
    explore_more(3, &["present", "came meanwhile", "came later"], count_and_word);
}

/// A handle finds its child ended and its failure not yet judged, since another thread judges.
pub(crate) fn judged_while_joining(seen: &Seen) {
    let (joining, waited) = (Flag::default(), Flag::default());
    let (in_policy, still_judging) = (joining.clone(), waited.clone());
    let policy = policy_fn(move |exit: &ChildExit<'_, &'static str>| {
        if exit.failure().and_then(Failure::as_error) == Some(&"slow") {
            // Judged by the task of this child. The other one's exit waits for its turn until somebody joins it.
            for _ in 0..40 {
                if in_policy.is_up() {
                    still_judging.raise();
                    break;
                }
                preempt();
            }
        }
        Verdict::Continue
    });
    let outcome = block_on(
        scope(async |s: &Scope<&'static str>| {
            let slow = s.spawn(async { Err::<(), _>("slow") });
            let joining = joining.clone();
            // In a child: whatever happens in a scope wakes its body, which would hide a missed wake-up.
            let joiner = s.spawn_with(async move |s: &Scope<&'static str>| {
                let joined = s.spawn(async { Err::<(), _>("joined") });
                for _ in 0..20 {
                    if joined.is_finished() {
                        break;
                    }
                    preempt();
                }
                joining.raise();
                Ok(joined.join().await.unwrap_err().as_error().copied())
            });
            drop(slow);
            assert_eq!(joiner.await, Some("joined"));
            Ok(())
        })
        .policy(policy)
        .outcome(),
    );
    assert_eq!(outcome.failures().len(), 1, "P4: the other one has an owner");
    seen.saw(if waited.is_up() { "judged while it was joined" } else { "judged before" });
}

#[test]
fn a_verdict_that_comes_while_its_child_is_joined_is_not_missed() {
    explore_more(3, &["judged while it was joined", "judged before"], judged_while_joining);
}

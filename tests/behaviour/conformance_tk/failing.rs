//! Failures: whose they are, which one is primary, and what a cancellation has to do with them.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use sc_tokio::{Cancelled, Failure, Member, OutcomeKind, Reason, Scope, Supervise, nursery, shield};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::{HOUR, SECOND};
use crate::support::{Live, Log, Watchdog, both_flavours, hooked};

// TK-FF-04
#[test]
fn children_that_never_ran_are_cancelled_with_a_body_that_fails_at_once() {
    both_flavours(|| async {
        let live = Live::new();
        let outcome = nursery!(async |n| -> Result<(), String> {
            for _ in 0..100 {
                let guard = live.one();
                n.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
            }
            Err(String::from("the body"))
        })
        .outcome()
        .await;
        assert_eq!((outcome.kind(), outcome.report().cancelled, live.count()), (OutcomeKind::Failed, 100, 0));
        assert!(matches!(outcome.failures(), [Failure::Error(error)] if error == "the body"), "{outcome:?}");
    });
}

// TK-FF-05, TK-ME-03, TK-ME-05
#[test]
fn out_of_a_failing_group_come_its_real_errors_in_one_type_however_many_there_are() {
    both_flavours(|| async {
        for failing in 1..=3 {
            let mut reached = false;
            let outcome = nursery!(async |n| -> Result<(), String> {
                n.spawn(pending::<()>());
                for i in 0..failing {
                    n.spawn(async move { Err::<(), _>(format!("child {i}")) });
                }
                pending::<()>().await;
                reached = true;
                Ok(())
            })
            .outcome()
            .await;
            assert!(!reached, "the body is cancelled, too");
            let failures = outcome.failures();
            assert!((1..=failing).contains(&failures.len()), "it is a race how many get to fail: {outcome:?}");
            let is_real = |failure: &Failure<String>| failure.as_error().is_some_and(|text| text.starts_with("child "));
            assert!(failures.iter().all(is_real), "{outcome:?}");
            assert_eq!(outcome.report().failed + outcome.report().cancelled, failing as u64 + 1);
        }
    });
}

// TK-FF-07
#[test]
fn whichever_of_two_awaited_children_fails_its_error_comes_out_and_the_other_is_cancelled() {
    both_flavours(|| async {
        for first_fails in [true, false] {
            let live = Live::new();
            let result = nursery!(async |n| -> Result<u8, String> {
                let child = |fails: bool| {
                    let guard = live.one();
                    n.spawn(async move {
                        let _guard = guard;
                        if fails {
                            return Err(String::from("the real error"));
                        }
                        pending::<Result<u8, String>>().await
                    })
                };
                let (first, second) = (child(first_fails), child(!first_fails));
                Ok(first.await + second.await)
            })
            .map_cancelled(|cancelled| cancelled.to_string())
            .await;
            assert_eq!(result.unwrap_err(), "the real error");
            assert_eq!(live.count(), 0);
        }
    });
}

// TK-FF-09
#[tokio::test(start_paused = true)]
async fn a_body_that_fails_does_not_cut_a_childs_shielded_end_short() {
    let (log, start) = (Log::new(), Instant::now());
    let note = log.clone();
    let result = nursery!(async |n| -> Result<(), String> {
        n.spawn(async move {
            shield(60 * SECOND, sleep(3 * SECOND)).await.unwrap();
            note.add("tidied up");
        });
        yield_now().await;
        Err(String::from("the body"))
    })
    .map_cancelled(|cancelled| cancelled.to_string())
    .await;
    log.add(result.unwrap_err());
    assert_eq!(log.entries(), ["tidied up", "the body"]);
    assert_eq!(start.elapsed(), 3 * SECOND);
}

fn hydra(n: &Scope<String>, born: &Arc<AtomicUsize>) {
    for _ in 0..2 {
        let born = Arc::clone(born);
        n.spawn_with(async move |n: &Scope<String>| {
            born.fetch_add(1, Ordering::SeqCst);
            yield_now().await;
            hydra(n, &born);
        });
    }
}

// TK-FF-10
#[test]
fn children_that_spawn_without_end_end_with_the_one_that_fails() {
    both_flavours(|| async {
        let born = Arc::new(AtomicUsize::new(0));
        let outcome = nursery!(async |n| -> Result<(), String> {
            hydra(n, &born);
            let heads = Arc::clone(&born);
            n.spawn(async move {
                while heads.load(Ordering::SeqCst) < 10_000 {
                    yield_now().await;
                }
                Err::<(), _>(String::from("the sword"))
            });
            pending().await
        })
        .outcome()
        .await;
        assert!(matches!(outcome.failures(), [Failure::Error(error)] if error == "the sword"), "{outcome:?}");
    });
}

// TK-FF-13
#[test]
fn a_scope_inside_a_child_that_is_cancelled_from_outside_ends_alone() {
    both_flavours(|| async {
        let value = nursery!(async |n| -> Result<u8, Cancelled> {
            let (send, receive) = oneshot::channel();
            let child = n.spawn(async move {
                let inner = nursery!(async |inner| -> Result<(), Cancelled> {
                    let _ = send.send(inner.canceller());
                    pending().await
                });
                assert_eq!(inner.await.unwrap_err().reason(), Reason::Requested);
                yield_now().await;
                Ok(7)
            });
            receive.await.unwrap().cancel("from outside");
            let value = child.await;
            assert!(!n.is_cancelled() && sc_tokio::checkpoint().await.is_ok());
            Ok(value)
        })
        .await;
        assert_eq!(value.unwrap(), 7);
    });
}

// TK-CV-10
#[test]
fn a_failure_that_was_handled_leaves_the_caller_uncancelled() {
    both_flavours(|| async {
        let value = nursery!(async |n| -> Result<u8, Cancelled> {
            let inner = nursery!(async |inner| -> Result<(), std::io::Error> {
                inner.spawn(async { Err::<(), _>(std::io::Error::other("of the inner one")) });
                pending().await
            });
            assert_eq!(inner.await.unwrap_err().to_string(), "of the inner one");
            assert!(!n.is_cancelled() && sc_tokio::checkpoint().await.is_ok());
            yield_now().await;
            let child = n.spawn(async { Ok(7) });
            Ok(child.await)
        })
        .await;
        assert_eq!(value.unwrap(), 7);
    });
}

/// An error that keeps the shape of the scopes it came through.
#[derive(Debug)]
enum Tree {
    Leaf(&'static str),
    Branch(Vec<Failure<&'static str>>),
}

// TK-ME-04
#[test]
fn the_failures_of_a_nested_scope_stay_together_however_many_they_are() {
    both_flavours(|| async {
        for failing in [1, 2] {
            let outcome = nursery!(<Supervise> async |n| -> Result<(), Tree> {
                n.spawn(async { Err::<(), _>(Tree::Leaf("of the outer one")) });
                n.spawn(async move {
                    let inner = nursery!(<Supervise> async |inner| -> Result<(), &'static str> {
                        for _ in 0..failing {
                            inner.spawn(async { Err::<(), _>("of the inner one") });
                        }
                        Ok(())
                    });
                    Err::<(), _>(Tree::Branch(inner.outcome().await.into_failures()))
                });
                Ok(())
            })
            .outcome()
            .await;
            let errors: Vec<_> = outcome.failures().iter().filter_map(Failure::as_error).collect();
            let is_whole = |tree: &&Tree| matches!(tree, Tree::Branch(inner) if inner.len() == failing);
            assert_eq!((errors.len(), errors.iter().copied().filter(is_whole).count()), (2, 1), "{outcome:?}");
            assert!(errors.iter().any(|tree| matches!(tree, Tree::Leaf("of the outer one"))), "{outcome:?}");
        }
    });
}

/// Where an error lies: another object would lie elsewhere.
fn address(error: &[u8; 64]) -> usize {
    std::ptr::from_ref(error).addr()
}

// TK-ME-06
#[test]
fn an_error_comes_out_as_the_very_object_that_went_in() {
    both_flavours(|| async {
        let error = Box::new([7_u8; 64]);
        let before = address(&error);
        let outcome = nursery!(async |n| -> Result<(), Box<[u8; 64]>> {
            n.spawn(pending::<()>()); // cancelled, and no part of the result
            n.spawn(async move {
                let inner = nursery!(async |inner| -> Result<(), Box<[u8; 64]>> {
                    inner.spawn(pending::<()>());
                    Err(error)
                });
                inner.map_cancelled(|_| Box::new([0; 64])).await
            });
            pending().await
        })
        .outcome()
        .await;
        let [Failure::Error(after)] = outcome.failures() else { panic!("{outcome:?}") };
        assert_eq!(address(after), before);
    });
}

// TK-ME-14
#[test]
fn an_error_keeps_its_causes_through_every_scope_it_passes() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> anyhow::Result<()> {
            n.spawn(async {
                let inner = nursery!(async |inner| -> anyhow::Result<()> {
                    let disk = anyhow::Error::new(std::io::Error::other("the disk is full"));
                    inner.spawn(async { Err::<(), _>(disk.context("while saving")) });
                    pending().await
                });
                inner.await
            });
            pending().await
        })
        .await;
        let error = result.unwrap_err();
        let chain: Vec<_> = error.chain().map(ToString::to_string).collect();
        assert_eq!(chain, ["while saving", "the disk is full"]);
        assert!(error.root_cause().is::<std::io::Error>());
    });
}

// TK-ME-09
#[test]
fn of_errors_thrown_at_the_same_instant_none_is_lost_and_none_is_doubled() {
    const CHILDREN: usize = 8;
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    for round in 0..4_000 {
        // With a grace, nobody is cancelled before it has failed.
        let grace = if round % 2 == 0 { Duration::ZERO } else { HOUR };
        let (ready, thrown) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let scope = nursery!(async |n| -> Result<(), usize> {
            for i in 0..CHILDREN {
                let (ready, thrown) = (Arc::clone(&ready), Arc::clone(&thrown));
                n.spawn(async move {
                    ready.fetch_add(1, Ordering::SeqCst);
                    while ready.load(Ordering::SeqCst) < CHILDREN {
                        yield_now().await;
                    }
                    thrown.lock().unwrap().push(i);
                    Err::<(), _>(i)
                });
            }
            Ok(())
        });
        let outcome = runtime.block_on(scope.grace(grace).outcome());
        let mut thrown = thrown.lock().unwrap().clone();
        let mut found: Vec<_> = outcome.failures().iter().filter_map(Failure::as_error).copied().collect();
        thrown.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, thrown, "round {round}");
        assert!(!found.is_empty() && (grace.is_zero() || found.len() == CHILDREN), "round {round}: {found:?}");
    }
}

// TK-ME-13
#[test]
fn errors_beside_a_panic_that_goes_on_reach_the_hook() {
    let told = hooked("beside the panic", || {
        both_flavours(|| async {
            let scope = async {
                nursery!(async |n| -> Result<(), String> {
                    n.spawn_with(async |n: &Scope<String>| {
                        n.cancelled().await;
                        Err::<(), _>(String::from("beside the panic"))
                    });
                    yield_now().await;
                    panic!("the body");
                })
                .grace(60 * SECOND)
                .map_cancelled(|cancelled| cancelled.to_string())
                .await
            };
            let payload = AssertUnwindSafe(scope).catch_unwind().await.unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"the body"));
        });
    });
    assert_eq!(told.len(), 2, "once per flavour (P4): {told:?}");
}

// TK-CV-05
#[tokio::test(start_paused = true)]
async fn an_outer_cancellation_during_an_inner_one_stops_the_code_between_them_unless_it_is_shielded() {
    for shielded in [false, true] {
        let log = Log::new();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let between = async {
                let inner = nursery!(async |inner| -> Result<(), Cancelled> {
                    inner.cancel("the inner one");
                    n.cancel("the outer one");
                    pending().await
                })
                .grace(2 * SECOND);
                let why = inner.await.unwrap_err();
                log.add(format!("{:?}, inherited: {}", why.reason(), why.is_inherited()));
                yield_now().await;
                log.add("the code between them");
            };
            if shielded {
                shield(60 * SECOND, between).await.unwrap();
            } else {
                between.await;
            }
            Ok(())
        })
        .outcome()
        .await;
        let (kind, entries): (_, &[&str]) = if shielded {
            (OutcomeKind::Ok, &["Requested, inherited: false", "the code between them"])
        } else {
            (OutcomeKind::Cancelled, &[])
        };
        assert_eq!(outcome.kind(), kind, "{outcome:?}");
        assert_eq!(log.entries(), entries, "shielded: {shielded}");
    }
}

// TK-CV-08, TK-CV-13, TK-CU-07: what came first in time is primary (P5).
#[tokio::test(start_paused = true)]
async fn an_error_made_while_being_cancelled_is_kept_beside_the_cancellation() {
    for (supervised, by_deadline) in [(false, false), (false, true), (true, false), (true, true)] {
        let scope = nursery!(async |n| -> Result<(), String> {
            n.spawn_with(async |n: &Scope<String>| {
                n.cancelled().await;
                Err::<(), _>(String::from("of the child"))
            });
            yield_now().await;
            if !by_deadline {
                n.cancel("enough");
            }
            n.cancelled().await;
            Err(String::from("of the body"))
        })
        .timeout(SECOND)
        .grace(SECOND);
        let scope = if supervised { scope.policy(Supervise) } else { scope };
        let outcome = scope.outcome().await;
        let kind = if by_deadline { OutcomeKind::DeadlineExceeded } else { OutcomeKind::Cancelled };
        let mut errors: Vec<_> = outcome.failures().iter().map(ToString::to_string).collect();
        errors.sort();
        assert_eq!(outcome.kind(), kind, "{outcome:?}");
        assert_eq!(errors, ["of the body", "of the child"]);
    }
}

// TK-CV-09
#[tokio::test(start_paused = true)]
async fn a_cancellation_is_not_forgotten_by_handling_an_error_that_came_with_it() {
    let log = Log::new();
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let stop = n.canceller();
        let inner = nursery!(async |inner| -> Result<(), std::io::Error> {
            inner.spawn_with(async move |inner: &Scope<std::io::Error>| {
                inner.cancelled().await;
                stop.cancel("while the inner one ends");
            });
            Err(std::io::Error::other("of the inner one"))
        })
        .grace(60 * SECOND);
        log.add(inner.await.unwrap_err().to_string());
        assert!(sc_tokio::checkpoint().await.is_err());
        pending().await
    })
    .grace(SECOND)
    .outcome()
    .await;
    assert_eq!(log.entries(), ["of the inner one"]);
    assert_eq!((outcome.kind(), outcome.failures().len()), (OutcomeKind::Cancelled, 0), "{outcome:?}");
}

// TK-CV-14
#[tokio::test(start_paused = true)]
async fn a_stopped_child_that_fails_all_the_same_gives_its_joiner_the_failure() {
    for isolated in [false, true] {
        let scope = nursery!(async |n| -> Result<(), String> {
            let task = if isolated { n.task().isolated() } else { n.task() };
            let child = task.spawn(async {
                sc_tokio::cancelled().await;
                Err::<(), _>(String::from("its own"))
            });
            yield_now().await;
            n.cancel_children("stop");
            let failure = child.join().await.unwrap_err();
            assert!(matches!(&failure, Failure::Error(error) if error == "its own"), "{failure:?}");
            Ok(())
        })
        .grace(SECOND);
        let scope = if isolated { scope } else { scope.policy(Supervise) };
        let outcome = scope.outcome().await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome:?}");
    }
}

/// What somebody was told.
fn tell(who: &str, why: &Cancelled) -> String {
    let (culprit, origin) = (why.culprit().and_then(Member::name), why.origin().name());
    format!("{who}: {:?} of {culprit:?} in {origin:?}, inherited: {}", why.reason(), why.is_inherited())
}

// TK-CL-08, TK-CV-16
#[tokio::test(start_paused = true)]
async fn whoever_is_cancelled_by_a_failure_is_told_whose_it_was() {
    let log = Log::new();
    let (sibling, below) = (log.clone(), log.clone());
    let outcome = nursery!(async |n| -> Result<(), String> {
        n.spawn(async move { sibling.add(tell("sibling", &sc_tokio::cancelled().await)) });
        n.spawn(async move {
            let inner = nursery!(async |inner| -> Result<(), String> {
                below.add(tell("below", &inner.cancelled().await));
                Ok(())
            });
            drop(inner.named("inner").outcome().await);
        });
        yield_now().await;
        n.task().name("disk").spawn(async { Err::<(), _>(String::from("full")) });
        log.add(tell("body", &n.cancelled().await));
        Ok(())
    })
    .named("page")
    .grace(SECOND)
    .outcome()
    .await;
    let mut told = log.entries();
    told.sort();
    let of_the_disk =
        |who, inherited| format!("{who}: ChildFailed of Some(\"disk\") in Some(\"page\"), inherited: {inherited}");
    assert_eq!(told, [of_the_disk("below", true), of_the_disk("body", false), of_the_disk("sibling", false)]);
    let text = outcome.cancelled().unwrap().to_string();
    assert!(text.starts_with("child `disk` (") && text.contains(") failed in scope `page` ("), "{text}");
}

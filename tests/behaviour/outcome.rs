//! `Outcome`: every row of its table, what it tells an operator, and failures turned back into errors.

use std::future::pending;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use sc_tokio::{Cancelled, FAILURES_KEPT, Failure, Outcome, OutcomeKind, Reason, Scope, ScopeEnd, Supervise, nursery};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::support::{Log, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

/// An error with room for what a scope can say.
#[derive(Debug, PartialEq)]
enum Fault {
    Own(&'static str),
    Cancelled(Reason),
}

impl From<Cancelled> for Fault {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled.reason())
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own(text) => f.write_str(text),
            Self::Cancelled(reason) => write!(f, "{reason}"),
        }
    }
}

type Ended = Outcome<u8, Fault>;

/// Whatever the kind, the accessors agree with each other and with the table in the documentation.
#[track_caller]
fn check(outcome: Ended, kind: OutcomeKind, value: Option<u8>, failures: usize) -> Result<u8, Fault> {
    assert_eq!((outcome.kind(), outcome.value().copied()), (kind, value), "{outcome:?}");
    assert_eq!(outcome.failures().len(), failures, "{outcome:?}");
    assert_eq!(outcome.report().failed_members.len(), failures, "one for each failure");
    let is_ok = matches!(kind, OutcomeKind::Ok | OutcomeKind::Partial);
    assert_eq!(outcome.is_ok(), is_ok);
    assert!(outcome.to_string().starts_with(&kind.to_string()), "{outcome}");
    let result = outcome.into_result();
    assert_eq!(result.is_ok(), is_ok);
    result
}

#[test]
fn ok_has_the_value_and_no_failure() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<u8, Fault> { Ok(n.spawn(async { Ok(7) }).await) }).outcome().await;
        assert!(outcome.cancelled().is_none());
        assert_eq!(check(outcome, OutcomeKind::Ok, Some(7), 0), Ok(7));
    });
}

#[test]
fn ok_stays_ok_when_a_cancellation_cut_nothing_short() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<u8, Fault> {
            n.cancel("too late");
            Ok(7)
        })
        .outcome()
        .await;
        assert_eq!(outcome.cancelled().unwrap().reason(), Reason::Requested, "it is told all the same");
        assert!(outcome.report().drained_in.is_some());
        assert_eq!(check(outcome, OutcomeKind::Ok, Some(7), 0), Ok(7));
    });
}

#[test]
fn partial_has_the_value_and_what_the_policy_continued_past() {
    both_flavours(|| async {
        let outcome = nursery!(<Supervise> async |n| -> Result<u8, Fault> {
            n.spawn(async { Err::<(), _>(Fault::Own("a")) });
            n.spawn(async { panic!("b") });
            Ok(7)
        })
        .outcome()
        .await;
        let report = outcome.report();
        assert_eq!((report.spawned, report.failed, report.panicked, report.succeeded), (2, 1, 1, 0));
        assert!(outcome.cancelled().is_none() && report.drained_in.is_none());
        assert_eq!(check(outcome, OutcomeKind::Partial, Some(7), 2), Ok(7));
    });
}

#[test]
fn failed_by_a_child_has_no_value_if_the_body_was_not_done() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<u8, Fault> {
            n.spawn(async { Err::<(), _>(Fault::Own("child")) });
            pending().await
        })
        .outcome()
        .await;
        assert_eq!(outcome.cancelled().unwrap().reason(), Reason::ChildFailed);
        assert_eq!(check(outcome, OutcomeKind::Failed, None, 1), Err(Fault::Own("child")));
    });
}

#[test]
fn failed_by_a_child_keeps_the_value_of_a_body_that_was_done() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<u8, Fault> {
            let (go, gone) = tokio::sync::oneshot::channel::<()>();
            n.spawn(async move {
                let _ = gone.await;
                Err::<(), _>(Fault::Own("late"))
            });
            drop(go);
            Ok(7)
        })
        .outcome()
        .await;
        assert_eq!(check(outcome, OutcomeKind::Failed, Some(7), 1), Err(Fault::Own("late")));
    });
}

#[test]
fn failed_by_the_body_or_a_finalizer_says_so() {
    both_flavours(|| async {
        let outcome: Ended = nursery!(async |_n| Err(Fault::Own("body"))).outcome().await;
        assert_eq!(outcome.report().failed_members[0].role(), sc_tokio::Role::Body);
        assert_eq!(check(outcome, OutcomeKind::Failed, None, 1), Err(Fault::Own("body")));
        let outcome = nursery!(async |n| -> Result<u8, Fault> {
            n.defer(async |_end| Err::<(), _>(Fault::Own("finalizer")));
            Ok(7)
        })
        .outcome()
        .await;
        assert_eq!(outcome.report().failed_members[0].role(), sc_tokio::Role::Finalizer);
        assert!(outcome.to_string().starts_with("failed: a finalizer: finalizer ("), "{outcome}");
        assert_eq!(check(outcome, OutcomeKind::Failed, Some(7), 1), Err(Fault::Own("finalizer")));
    });
}

#[test]
fn failed_by_a_panic_goes_on_with_its_payload_and_the_value_is_there_before() {
    both_flavours(|| async {
        let scope = || {
            nursery!(async |n| -> Result<u8, Fault> {
                n.spawn(async { panic_any(42_u32) });
                Ok(7)
            })
        };
        let outcome = scope().outcome().await;
        assert_eq!((outcome.kind(), outcome.value()), (OutcomeKind::Failed, Some(&7)));
        assert!(outcome.failures()[0].is_panic());
        let payload = catch_unwind(AssertUnwindSafe(|| outcome.into_result())).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&42_u32));
        assert_eq!(scope().outcome().await.into_value(), Some(7));
    });
}

#[test]
fn cancelled_with_and_without_value_and_failures() {
    both_flavours(|| async {
        for (body_is_done, fails) in [(false, false), (false, true), (true, false), (true, true)] {
            let outcome = nursery!(async |n| -> Result<u8, Fault> {
                n.spawn_with(async move |n: &Scope<Fault>| {
                    n.cancelled().await;
                    if fails { Err::<(), _>(Fault::Own("while tidying up")) } else { pending().await }
                });
                n.cancel("stop");
                if body_is_done { Ok(7) } else { pending().await }
            })
            .grace(Duration::from_millis(5))
            .outcome()
            .await;
            let value = body_is_done.then_some(7);
            let result = check(outcome, OutcomeKind::Cancelled, value, usize::from(fails));
            assert_eq!(result, Err(Fault::Cancelled(Reason::Requested)), "the failure is secondary");
        }
    });
}

#[tokio::test(start_paused = true)]
async fn deadline_exceeded_with_and_without_value() {
    for body_is_done in [false, true] {
        let outcome = nursery!(async |n| -> Result<u8, Fault> {
            n.spawn(pending::<()>());
            if body_is_done { Ok(7) } else { pending().await }
        })
        .timeout(SECOND)
        .outcome()
        .await;
        assert_eq!((outcome.report().duration, outcome.report().cancelled), (SECOND, 1));
        let result = check(outcome, OutcomeKind::DeadlineExceeded, body_is_done.then_some(7), 0);
        assert_eq!(result, Err(Fault::Cancelled(Reason::Deadline)));
    }
}

#[test]
fn parts_and_mapped_errors_keep_everything() {
    both_flavours(|| async {
        let outcome = nursery!(<Supervise> async |n| -> Result<u8, Fault> {
            n.spawn(async { Err::<(), _>(Fault::Own("a")) });
            Ok(7)
        })
        .outcome()
        .await;
        let outcome = outcome.map_err(|error| error.to_string());
        assert_eq!(outcome.report().failed, 1);
        let (value, failures) = outcome.into_parts();
        assert!(value == Some(7) && matches!(&failures[..], [Failure::Error(e)] if e == "a"));
    });
}

/// `file:line` of the line that is so many below the caller's.
#[track_caller]
fn below(lines: u32) -> String {
    let here = Location::caller();
    format!("{}:{}", here.file(), here.line() + lines)
}

#[tokio::test(start_paused = true)]
async fn an_operator_reads_one_line() {
    let (scope, first) = (below(1), below(2));
    let outcome = nursery!(async |n| -> Result<u8, Fault> {
        n.task().name("user").spawn(async {
            sleep(2 * SECOND).await;
            Err::<(), _>(Fault::Own("disk\non fire"))
        });
        for i in 0..4_u64 {
            n.task().name(format!("mirror {i}")).spawn_with(async move |n: &Scope<Fault>| {
                n.cancelled().await;
                sleep(Duration::from_millis(i)).await;
                if i == 1 { panic!("at the disco") } else { Err(Fault::Own("too")) as Result<(), _> }
            });
        }
        n.spawn(async {});
        n.task().name("slow").spawn(pending::<()>());
        pending().await
    })
    .named("page")
    .grace(15 * SECOND)
    .outcome()
    .await;
    let places: Vec<_> = outcome.report().failed_members.iter().map(|m| m.place().unwrap().to_string()).collect();
    let (user, mirror, slow) = (&places[0], &places[1], outcome.report().stragglers[0].member.place().unwrap());
    assert!(user.starts_with(&first), "{user} is in {first}");
    let expected = format!(
        "failed: child `user` ({user}) in scope `page` ({scope}): disk\\non fire; \
         4 further failures [child `mirror 0` ({mirror}): too; child `mirror 1` ({mirror}): panicked: at the disco; \
         child `mirror 2` ({mirror}): too; and 1 more] \
         (7 children in 17s: 1 ok, 4 failed, 1 panicked, 1 cancelled; drained in 15s; \
         child `slow` ({slow}) still alive after 10s)"
    );
    assert_eq!(outcome.to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_other_kinds_read_as_short_as_they_can() {
    let ok: Ended = nursery!(async |_n| Ok(7)).outcome().await;
    assert_eq!(ok.to_string(), "ok (0 children in 0ns: 0 ok)");
    let place = below(1);
    let late: Ended = nursery!(async |n| {
        n.spawn(pending::<()>());
        pending().await
    })
    .timeout(SECOND)
    .named("late")
    .outcome()
    .await;
    let expected = format!(
        "deadline exceeded: deadline of 1s expired in scope `late` ({place}) \
         (1 child in 1s: 0 ok, 1 cancelled; drained in 0ns)"
    );
    assert_eq!(late.to_string(), expected);
    let place = below(1);
    let cancelled: Ended = nursery!(async |n| {
        n.cancel("enough");
        pending().await
    })
    .named("x")
    .outcome()
    .await;
    let expected = format!(
        "cancelled: cancellation requested in scope `x` ({place}): enough (0 children in 0ns: 0 ok; drained in 0ns)"
    );
    assert_eq!(cancelled.to_string(), expected);
    let many = nursery!(<Supervise> async |n| -> Result<u8, Fault> {
        for _ in 0..FAILURES_KEPT + 6 {
            n.spawn(async { Err::<(), _>(Fault::Own("no")) });
        }
        Ok(7)
    })
    .outcome()
    .await;
    let line = many.to_string();
    assert!(
        line.starts_with("partial; 70 further failures [child #0 (") && line.contains("; and 67 more] ("),
        "{line}"
    );
    assert!(line.ends_with("70 failed, 6 failures not kept)"), "{line}");
}

#[test]
fn the_alternate_form_shows_sources() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), anyhow::Error> {
            n.spawn(async { Err::<(), _>(anyhow::anyhow!("disk").context("save")) });
            pending().await
        })
        .outcome()
        .await;
        assert!(outcome.to_string().contains("): save ("), "{outcome}");
        assert!(format!("{outcome:#}").contains("): save: disk ("), "{outcome:#}");
    });
}

#[test]
fn finalizers_are_told_the_end_in_words() {
    both_flavours(|| async {
        let log = Log::new();
        let tell = |log: &Log| {
            let log = log.clone();
            move |end: ScopeEnd| {
                log.add(end.to_string());
                std::future::ready(())
            }
        };
        let _ = nursery!(async |n| -> Result<u8, Fault> {
            n.defer(tell(&log));
            Ok(1)
        })
        .await;
        let _ = nursery!(async |n| -> Result<u8, Fault> {
            n.defer(tell(&log));
            Err(Fault::Own("body"))
        })
        .named("page")
        .await;
        let entries = log.entries();
        assert_eq!(entries[0], "ok");
        assert!(entries[1].starts_with("failed: the body failed in scope `page` ("), "{entries:?}");
    });
}

// `Failure::into_error`.

/// How often the panic hook ran with a message that no test expects.
fn count_hook_calls() -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let (counter, before) = (Arc::clone(&count), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        // Tests run in parallel, and others panic on purpose, with messages of their own.
        if is_nobodys_test_panic(info.payload()) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        before(info);
    }));
    count
}

/// Whether it is none of the payloads that tests here panic with.
fn is_nobodys_test_panic(payload: &(dyn std::any::Any + Send)) -> bool {
    !(payload.is::<&'static str>() || payload.is::<String>() || payload.is::<u32>())
}

#[test]
fn under_fail_fast_an_error_that_the_scope_owns_ends_the_frame_as_awaiting_would() {
    let hook = count_hook_calls();
    both_flavours(|| async {
        for grace in [Duration::ZERO, Duration::from_secs(3600)] {
            let outcome = nursery!(async |n| -> Result<u8, Fault> {
                let child = n.spawn(async { Err::<u8, _>(Fault::Own("child")) });
                let value = child.join().await.map_err(Failure::into_error)?;
                unreachable!("it gave {value}")
            })
            .grace(grace)
            .outcome()
            .await;
            assert_eq!(outcome.report().failed, 1);
            assert_eq!(check(outcome, OutcomeKind::Failed, None, 1), Err(Fault::Own("child")));
        }
    });
    assert_eq!(hook.load(Ordering::SeqCst), 0, "nothing was printed");
}

#[test]
fn in_every_kind_of_frame() {
    both_flavours(|| async {
        let hour = Duration::from_secs(3600);
        let outcome = nursery!(async |n| -> Result<u8, Fault> {
            n.spawn_with(async |n: &Scope<Fault>| {
                let child = n.spawn(async { Err::<u8, _>(Fault::Own("sibling")) });
                child.join().await.map_err(Failure::into_error)
            });
            n.cancelled().await;
            while !n.is_empty() {
                yield_now().await;
            }
            Ok(7)
        })
        .grace(hour)
        .outcome()
        .await;
        assert_eq!(check(outcome, OutcomeKind::Failed, Some(7), 1), Err(Fault::Own("sibling")));
        let owned = || async { Err::<u8, _>(Failure::<Fault>::OwnedByScope.into_error()) };
        let outcome = nursery!(<Supervise> async |n| -> Result<u8, Fault> {
            let borrowed = n.spawn_borrowed(owned());
            assert!(borrowed.join().await.unwrap_err().is_cancelled());
            let blocking = n.spawn_blocking(|_cx| Err::<u8, _>(Failure::<Fault>::OwnedByScope.into_error()));
            assert!(blocking.join().await.unwrap_err().is_cancelled());
            Ok(7)
        })
        .outcome()
        .await;
        assert_eq!(check(outcome, OutcomeKind::Ok, Some(7), 0), Ok(7));
        let inner = nursery!(async |_n| -> Result<u8, Fault> {
            nursery!(async |_inner| owned().await).await // the inner scope's frame
        })
        .outcome()
        .await;
        let result = check(inner, OutcomeKind::Failed, None, 1);
        assert_eq!(result, Err(Fault::Cancelled(Reason::AwaitedChild)));
    });
}

#[test]
fn under_supervise_the_body_gets_the_error_the_panic_or_the_cancellation() {
    both_flavours(|| async {
        let outcome = nursery!(<Supervise> async |n| -> Result<u8, Fault> {
            let child = n.spawn(async { Err::<u8, _>(Fault::Own("mine")) });
            let error = child.join().await.map_err(Failure::into_error).unwrap_err();
            assert_eq!(error, Fault::Own("mine"), "it is a value; the scope goes on");
            let child = n.spawn(pending::<()>());
            n.cancel_children("one of them");
            child.join().await.map_err(Failure::into_error)?;
            unreachable!("it was cancelled")
        })
        .outcome()
        .await;
        assert_eq!(check(outcome, OutcomeKind::Failed, None, 1), Err(Fault::Cancelled(Reason::Requested)));
        let outcome = nursery!(<Supervise> async |n| -> Result<u8, Fault> {
            let child = n.spawn(async { panic_any(42_u32) });
            child.join().await.map_err(Failure::into_error)?;
            unreachable!("it panicked")
        })
        .outcome()
        .await;
        let payload = catch_unwind(AssertUnwindSafe(|| outcome.into_result())).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&42_u32), "the original payload");
    });
}

#[test]
fn outside_any_frame_it_is_a_panic_that_says_what_it_is() {
    both_flavours(|| async {
        let text = "a child was needed that failed, outside the frames of its scope, which has the error";
        let payload = catch_unwind(|| Failure::<Fault>::OwnedByScope.into_error()).unwrap_err();
        let panic = sc_tokio::Panic::new(payload);
        assert_eq!(panic.message(), Some(text));
        let join = tokio::spawn(async { Failure::<Fault>::OwnedByScope.into_error() }).await;
        assert!(join.unwrap_err().is_panic());
        let outcome = nursery!(<Supervise> async |_n| -> Result<u8, Fault> {
            let ambient = sc_tokio::spawn(async { Failure::<Fault>::OwnedByScope.into_error() });
            assert!(ambient.await.unwrap_err().is_panic());
            let ambient = sc_tokio::spawn_blocking(|| Failure::<Fault>::OwnedByScope.into_error());
            assert!(ambient.await.unwrap_err().is_panic());
            Ok(7)
        })
        .outcome()
        .await;
        assert!(outcome.failures().iter().all(|f| f.as_panic().and_then(|p| p.message()) == Some(text)), "{outcome:?}");
        assert_eq!(check(outcome, OutcomeKind::Partial, Some(7), 2), Ok(7));
    });
}

#[test]
fn a_frame_inside_a_task_of_tokios_own_is_the_one_that_ends() {
    both_flavours(|| async {
        let caught = AssertUnwindSafe(async {
            nursery!(async |n| -> Result<u8, Fault> {
                let child = n.spawn(async { Err::<u8, _>(Fault::Own("child")) });
                child.join().await.map_err(Failure::into_error)
            })
            .grace(SECOND)
            .await
        })
        .catch_unwind()
        .await;
        assert_eq!(caught.unwrap(), Err(Fault::Own("child")), "nothing unwinds out of the scope");
    });
}

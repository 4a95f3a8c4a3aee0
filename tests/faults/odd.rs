//! Odd ones: wakers that panic, spawns and cancellations from destructors, policies that misbehave.

use std::future::{pending, poll_fn};
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use sc_tokio::{Cancelled, Canceller, Failure, OutcomeKind, Reason, Scope, Verdict, nursery, policy_fn};

use crate::fuse::{Fuse, caught, poll_for};
use crate::support::{
    Gate, Guard, Live, OnDrop, listen, paused, poll_once, settle, told, two_workers, unique, watched,
};

/// A program whose future waits for scopes and children alone, so that its wakers are in nobody
/// else's hands: Tokio's timers and yields do not survive a waker that panics.
async fn without_timers(fuse: Fuse) {
    let work = |polls| {
        let fuse = fuse.clone();
        async move { fuse.steps("child", polls).await }
    };
    let result: Result<(), Cancelled> = nursery!(async |n| {
        let _ = n.spawn(work(3));
        let _ = n.task().daemon().spawn(pending::<()>());
        let _ = n.spawn_borrowed(async {
            nursery!(async |n| -> Result<(), Cancelled> {
                let _ = n.spawn(work(2));
                n.spawn(work(1)).await;
                Ok(())
            })
            .await
        });
        n.spawn(work(2)).await;
        n.cancelled().now_or_never();
        Ok(())
    })
    .warn_after(Duration::MAX)
    .await;
    assert!(result.is_ok());
}

/// P1: whatever a waker does, nobody else is kept from being woken.
#[test]
fn a_waker_that_panics_hangs_nobody() {
    paused(|| async {
        let mut n = 0;
        loop {
            let fuse = Fuse::new(n);
            // Only the waker's callbacks count.
            let program = without_timers(Fuse::new(usize::MAX >> 1));
            let enclosing: Result<(), Cancelled> = nursery!(async |_n| {
                let _ = poll_for(usize::MAX, Some(&fuse), program).await;
                Ok(())
            })
            .await;
            assert!(enclosing.is_ok());
            settle().await;
            assert_eq!(fuse.live().count(), 0, "wakers are kept after the end");
            if fuse.fired().is_none() {
                break;
            }
            n += 1;
        }
        assert!(n >= 8, "only {n} callbacks");
    });
}

/// The same when only a borrowed child is left to wake the scope's future, again and again.
#[test]
fn a_waker_that_panics_is_woken_again_by_borrowed_children() {
    paused(|| async {
        for n in 0..8 {
            let fuse = Fuse::new(n);
            let (mut senders, receivers): (Vec<_>, Vec<_>) =
                (0..4).map(|_| tokio::sync::oneshot::channel::<()>()).unzip();
            senders.reverse();
            let enclosing: Result<(), Cancelled> = nursery!(async |n| {
                let _ = n.spawn(async move {
                    while let Some(sender) = senders.pop() {
                        settle().await;
                        let _ = caught(move || sender.send(()));
                    }
                });
                let inner = async {
                    let _: Result<(), Cancelled> = nursery!(async |n| {
                        let _ = n.spawn_borrowed(async {
                            for receiver in receivers {
                                let _ = receiver.await;
                            }
                        });
                        Ok(())
                    })
                    .warn_after(Duration::MAX)
                    .await;
                };
                let _ = poll_for(usize::MAX, Some(&fuse), inner).await;
                Ok(())
            })
            .await;
            assert!(enclosing.is_ok());
        }
    });
}

/// P7: a destructor that spawns while its child is being cancelled is refused, and told so.
#[test]
fn a_spawn_from_a_destructor_of_a_cancelled_child_is_refused() {
    paused(|| async {
        let (refused, live) = (Arc::new(AtomicUsize::new(0)), Live::default());
        let (count, guards) = (Arc::clone(&refused), live.clone());
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let _ = n.spawn_with(async move |n: &Scope<Cancelled>| {
                let _local = OnDrop::new(|| {
                    let guard = guards.guard();
                    let child = n.spawn(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    });
                    assert!(child.is_finished() && child.id().is_none());
                    let joined = child.join().now_or_never().expect("a refused child has ended");
                    assert!(joined.unwrap_err().is_cancelled());
                    let guard = guards.guard();
                    let blocking = n.spawn_blocking(move |_| drop(guard));
                    assert!(blocking.is_finished());
                    n.cancel("again, from a destructor");
                    n.cancel_children("and again");
                    count.fetch_add(1, Ordering::SeqCst);
                });
                pending::<()>().await;
            });
            settle().await;
            n.cancel("enough");
            pending().await
        })
        .await;
        assert_eq!(result.unwrap_err().to_string().rsplit(": ").next(), Some("enough"));
        assert_eq!(refused.load(Ordering::SeqCst), 1);
        assert_eq!(live.count(), 0);
    });
}

/// P7, P1: one that spawns while the body ends well is accepted and waited for.
#[test]
fn a_spawn_from_a_destructor_of_the_body_is_waited_for() {
    paused(|| async {
        let ran = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ran);
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let _local = OnDrop::new(|| {
                let _ = n.spawn(async move {
                    settle().await;
                    flag.store(true, Ordering::SeqCst);
                });
            });
            Ok(())
        })
        .await;
        assert!(result.is_ok() && ran.load(Ordering::SeqCst));
    });
}

/// P1: captures whose destructor takes its time on another thread are waited for. The scope is polled
/// by a thread of its own, since a worker that is held up may hold up the task that polls.
#[test]
fn a_slow_destructor_on_another_thread_holds_the_scope_open() {
    for daemon in [false, true] {
        watched(move || {
            let runtime = two_workers();
            let _entered = runtime.enter();
            let (begun, gate, done) = (Gate::default(), Gate::default(), Arc::new(AtomicBool::new(false)));
            let slow = {
                let (begun, gate, done) = (begun.clone(), gate.clone(), Arc::clone(&done));
                OnDrop::new(move || {
                    begun.open();
                    gate.pass();
                    done.store(true, Ordering::SeqCst);
                })
            };
            let started = Gate::default();
            let start = started.clone();
            let scope = nursery!(async move |n| -> Result<(), Cancelled> {
                let child = async move {
                    let _slow = slow;
                    start.open();
                    pending::<()>().await;
                };
                let _ = if daemon { n.task().daemon().spawn(child) } else { n.spawn(child) };
                poll_fn(|_| if started.is_open() { Poll::Ready(()) } else { Poll::Pending }).await;
                if !daemon {
                    n.cancel("enough");
                }
                Ok(())
            });
            let mut scope = Box::pin(scope.outcome());
            while !begun.is_open() {
                assert!(poll_once(scope.as_mut()).is_pending());
                std::thread::yield_now();
            }
            for _ in 0..100 {
                assert!(poll_once(scope.as_mut()).is_pending());
            }
            gate.open();
            drop(futures::executor::block_on(scope));
            assert!(done.load(Ordering::SeqCst));
        });
    }
}

/// A policy that panics cancels its scope, once, and is a failure of it.
#[test]
fn a_policy_that_panics_every_time_ends_the_scope_and_loses_nothing() {
    listen();
    paused(|| async {
        let text = unique("policy");
        let message = text.clone();
        let policy = policy_fn(move |_| panic_any(message.clone()));
        let outcome = nursery!(async |n| -> anyhow::Result<()> {
            for i in 0..3 {
                let _ = n.spawn(async move { Err::<(), _>(anyhow::anyhow!("error {i}")) });
            }
            pending().await
        })
        .policy(policy)
        .grace(Duration::from_secs(1))
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        let errors = outcome.failures().iter().filter(|failure| failure.as_error().is_some()).count();
        assert_eq!(errors, 3, "{outcome:?}");
        assert!(outcome.failures()[0].is_panic());
    });
}

/// A policy may cancel the scope it judges for, and spawn nothing: it has no handle.
#[test]
fn a_policy_may_cancel_its_own_scope() {
    paused(|| async {
        let button: Arc<Mutex<Option<Canceller>>> = Arc::default();
        let pressed = Arc::clone(&button);
        let policy = policy_fn(move |_| {
            pressed.lock().unwrap().take().expect("set before the first exit").cancel("by the policy");
            Verdict::Continue
        });
        let outcome = nursery!(async |n| -> anyhow::Result<()> {
            *button.lock().unwrap() = Some(n.canceller());
            let _ = n.spawn(async { Err::<(), _>(anyhow::anyhow!("an error")) });
            pending().await
        })
        .policy(policy)
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Cancelled);
        assert_eq!(outcome.cancelled().expect("a notice").reason(), Reason::Requested);
        assert_eq!(outcome.failures().len(), 1);
    });
}

/// P3: the scope's future is dropped by unwinding, and its body panics while it is dropped.
#[test]
fn a_scope_dropped_by_a_panic_may_panic_in_its_destructors() {
    listen();
    paused(|| async {
        let (live, text) = (Live::default(), unique("while unwinding"));
        let (guard, message) = (live.guard(), text.clone());
        let mut scope = Box::pin(
            nursery!(async move |n| -> Result<(), Cancelled> {
                let _bomb = OnDrop::new(move || panic!("{message}"));
                let _ = n.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                pending().await
            })
            .into_future(),
        );
        assert!(poll_once(scope.as_mut()).is_pending());
        let panic = caught(move || {
            let _dropped_by_unwinding = scope;
            panic_any(7_u8);
        });
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&7_u8));
        settle().await;
        assert_eq!((live.count(), told(&text)), (0, 1));
    });
}

/// A panic payload that panics when it is dropped.
struct Payload(Option<Guard>, String);

impl Drop for Payload {
    fn drop(&mut self) {
        assert!(self.0.take().is_none(), "{}", self.1);
    }
}

/// P4: a payload that nobody takes is dropped where it can do no harm.
#[test]
fn a_panic_payload_that_panics_when_dropped_disturbs_nobody() {
    listen();
    paused(|| async {
        let (live, text) = (Live::default(), unique("payload"));
        let result: Result<u8, Cancelled> = nursery!(<sc_tokio::Supervise> async |n| {
            for _ in 0..3 {
                let payload = Payload(Some(live.guard()), text.clone());
                let _ = n.spawn(async move {
                    tokio::task::yield_now().await;
                    panic_any(payload)
                });
            }
            let payload = Payload(Some(live.guard()), text.clone());
            let joined = n.spawn(async move { panic_any(payload) }).join().await;
            assert!(caught(|| drop(joined)).is_err());
            Ok(1)
        })
        .await;
        assert_eq!(result.unwrap(), 1);
        assert_eq!(live.count(), 0);
        assert_eq!(told(&text), 3);
    });
}

/// P4: what a canceller said may panic when it is dropped, wherever the last one has it.
#[test]
fn a_cause_that_panics_when_dropped_disturbs_nobody() {
    listen();
    paused(|| async {
        let fuse = Fuse::new(0);
        let result: Result<(), Cancelled> = nursery!(async |n| {
            let quiet = n.canceller();
            let _ = n.spawn(async move {
                let _kept = quiet;
                pending::<()>().await;
            });
            settle().await;
            n.cancel(fuse.why_quiet());
            pending().await
        })
        .await;
        let last = caught(|| drop(result));
        settle().await;
        assert_eq!(usize::from(last.is_err()) + told(fuse.text()), 1);
        // And the thread can still open and close scopes.
        let next: Result<(), Cancelled> = nursery!(async |n| {
            let _ = n.spawn(settle());
            Ok(())
        })
        .await;
        assert!(next.is_ok());
    });
}

/// P5, P9: a body in its grace may still give its value.
#[test]
fn a_body_that_tidies_up_in_its_grace_keeps_its_value() {
    paused(|| async {
        let outcome = nursery!(async |n| -> Result<u8, Cancelled> {
            let _ = n.spawn(pending::<()>());
            n.cancel("stop");
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                cx.waker().wake_by_ref();
                if polls > 3 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            Ok(1)
        })
        .grace(Duration::from_secs(1))
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Cancelled);
        assert_eq!(outcome.into_value(), Some(1));
    });
}

/// A future that is polled after it has been moved to another thread in the middle.
#[test]
fn a_scope_may_be_polled_from_thread_to_thread() {
    watched(|| {
        let runtime = two_workers();
        let live = Live::default();
        let guard = live.guard();
        let mut scope: Pin<Box<dyn Future<Output = Result<u8, Cancelled>> + Send>> = Box::pin(
            nursery!(async move |n| {
                let child = n.spawn(async move {
                    let _guard = guard;
                    Ok(1_u8)
                });
                let other = n.spawn_borrowed(async { Ok(2) });
                Ok(child.await + other.await)
            })
            .into_future(),
        );
        let result = loop {
            let handle = runtime.handle().clone();
            let (future, polled) = std::thread::spawn(move || {
                let _entered = handle.enter();
                let polled = poll_once(scope.as_mut());
                (scope, polled)
            })
            .join()
            .expect("no panic");
            scope = future;
            if let Poll::Ready(result) = polled {
                break result;
            }
        };
        assert_eq!(result.unwrap(), 3);
        assert_eq!(live.count(), 0);
    });
}

/// P4: join gives a failure once.
#[test]
fn a_failure_has_one_owner() {
    paused(|| async {
        let outcome = nursery!(async |n| -> anyhow::Result<()> {
            let failed = n.spawn(async { Err::<(), _>(anyhow::anyhow!("once")) });
            let Err(failure) = failed.join().await else { panic!("it failed") };
            assert!(matches!(failure, Failure::OwnedByScope));
            Ok(())
        })
        .grace(Duration::from_secs(1))
        .outcome()
        .await;
        assert_eq!(outcome.failures().len(), 1);
    });
}

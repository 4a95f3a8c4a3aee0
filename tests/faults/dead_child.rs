//! Dead children that are awaited, wherever that is: the frame ends, and nobody waits for ever.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, Scope, Supervise, nursery};

use crate::support::{Live, parallel, paused, settle};

/// Runs a test on both flavours.
macro_rules! both {
    ($(#[$doc:meta])* $name:ident, $parallel:ident, $test:expr) => {
        $(#[$doc])*
        #[test]
        fn $name() {
            paused(|| $test);
        }

        $(#[$doc])*
        #[test]
        fn $parallel() {
            parallel(|| $test);
        }
    };
}

fn boom() -> anyhow::Error {
    anyhow::anyhow!("boom")
}

/// A thread that runs a future and nothing else.
fn own_executor<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

async fn awaited_in_select() {
    let result: anyhow::Result<()> = nursery!(<Supervise> async |n| {
        let mut dead = n.spawn(async { Err::<(), _>(boom()) });
        tokio::select! {
            () = &mut dead => {}
            () = pending() => {}
        }
        Ok(())
    })
    .await;
    assert_eq!(result.unwrap_err().to_string(), "boom");
}
both!(
    /// P4: under `Supervise` the failure goes to the frame that awaited.
    a_dead_child_awaited_in_select_ends_the_body,
    a_dead_child_awaited_in_select_ends_the_body_on_two_threads,
    awaited_in_select()
);

async fn awaited_in_join() {
    let live = Live::default();
    let guard = live.guard();
    let result: anyhow::Result<()> = nursery!(async |n| {
        let dead = n.spawn(async { Err::<(), _>(boom()) });
        let alive = n.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        futures::join!(dead, alive);
        Ok(())
    })
    .await;
    assert_eq!(result.unwrap_err().to_string(), "boom");
    assert_eq!(live.count(), 0);
}
both!(
    /// P1.
    a_dead_child_awaited_in_join_ends_the_body,
    a_dead_child_awaited_in_join_ends_the_body_on_two_threads,
    awaited_in_join()
);

async fn awaited_in_a_set() {
    let result: anyhow::Result<()> = nursery!(<Supervise> async |n| {
        let mut set: FuturesUnordered<_> = (0..10)
            .map(|i| {
                n.spawn(async move {
                    tokio::task::yield_now().await;
                    if i == 7 { Err(boom()) } else { Ok(()) }
                })
            })
            .collect();
        while set.next().await.is_some() {}
        Ok(())
    })
    .await;
    assert_eq!(result.unwrap_err().to_string(), "boom");
}
both!(
    /// P4.
    a_dead_child_awaited_in_a_set_of_futures_ends_the_body,
    a_dead_child_awaited_in_a_set_of_futures_ends_the_body_on_two_threads,
    awaited_in_a_set()
);

async fn awaited_in_an_inner_nursery() {
    let outcome = nursery!(<Supervise> async |n| -> Result<(), Cancelled> {
        let stopped = n.spawn(pending::<()>());
        n.cancel_children("all of them");
        let inner: Result<(), Cancelled> = nursery!(async |_n| {
            stopped.await;
            Ok(())
        })
        .await;
        assert_eq!(inner.unwrap_err().reason(), Reason::AwaitedChild);
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(outcome.kind(), OutcomeKind::Ok);
}
both!(
    /// P5: the inner scope ends with `AwaitedChild`; the outer one goes on.
    a_dead_child_awaited_in_an_inner_nursery_ends_that_one,
    a_dead_child_awaited_in_an_inner_nursery_ends_that_one_on_two_threads,
    awaited_in_an_inner_nursery()
);

async fn error_awaited_in_an_inner_nursery() {
    let outcome = nursery!(<Supervise> async |n| -> anyhow::Result<u8> {
        let failed = n.spawn(async { Err::<(), _>(boom()) });
        let inner: anyhow::Result<()> = nursery!(async |_n| {
            failed.await;
            Ok(())
        })
        .await;
        assert!(inner.unwrap_err().is::<Cancelled>());
        Ok(1)
    })
    .outcome()
    .await;
    assert_eq!(outcome.value(), Some(&1));
    assert_eq!(outcome.kind(), OutcomeKind::Partial);
    assert_eq!(outcome.failures()[0].as_error().expect("an error").to_string(), "boom");
}
both!(
    /// P4: the error stays with its owner.
    an_error_awaited_in_an_inner_nursery_stays_with_the_outer,
    an_error_awaited_in_an_inner_nursery_stays_with_the_outer_on_two_threads,
    error_awaited_in_an_inner_nursery()
);

async fn awaited_by_a_sibling() {
    let live = Live::default();
    let guard = live.guard();
    let outcome = nursery!(async |n| -> anyhow::Result<()> {
        let _ = n.spawn_with(async move |n: &Scope<anyhow::Error>| {
            let _guard = guard;
            let stopped = n.spawn(pending::<()>());
            n.cancel_children("all, this one too, but it is not to be dropped yet");
            stopped.await;
            unreachable!("a dead child has no value");
        });
        Ok(())
    })
    .grace(Duration::from_millis(10))
    .outcome()
    .await;
    assert_eq!(outcome.kind(), OutcomeKind::Ok);
    assert_eq!(live.count(), 0);
}
both!(
    /// P5, P9: stopped from inside, whatever is awaited in the grace.
    a_dead_child_awaited_by_its_sibling_ends_the_sibling,
    a_dead_child_awaited_by_its_sibling_ends_the_sibling_on_two_threads,
    awaited_by_a_sibling()
);

async fn joined_after_its_end() {
    let result: Result<(), Cancelled> = nursery!(<Supervise> async |n| {
        let (a, b, c) = (n.spawn(async { Ok(1) }), n.spawn(async { Ok(2) }), n.spawn(async { Ok(3) }));
        let refused = n.spawn(pending::<()>());
        drop(refused.cancel());
        assert_eq!((c.await, a.await), (3, 1));
        drop(b);
        std::mem::forget(n.spawn(async {}));
        Ok(())
    })
    .await;
    assert!(result.is_ok());
}
both!(
    /// Handles are used in any order, dropped, forgotten.
    handles_may_be_awaited_out_of_order_dropped_and_forgotten,
    handles_may_be_awaited_out_of_order_dropped_and_forgotten_on_two_threads,
    joined_after_its_end()
);

/// Awaits a dead child in an executor inside the poll of a frame.
fn nested_executors() -> [fn(futures::future::BoxFuture<'_, ()>); 2] {
    [|future| futures::executor::block_on(future), |future| own_executor(future)]
}

/// A nested executor would park for ever: the frame is unwound instead.
#[test]
fn a_dead_child_awaited_in_a_nested_executor_ends_the_body() {
    for block_on in nested_executors() {
        for flavour in [paused_flavour, parallel_flavour] {
            flavour(block_on);
        }
    }
}

type BlockOn = fn(futures::future::BoxFuture<'_, ()>);

fn paused_flavour(block_on: BlockOn) {
    paused(move || nested_block_on(block_on));
}

fn parallel_flavour(block_on: BlockOn) {
    parallel(move || nested_block_on(block_on));
}

async fn nested_block_on(block_on: BlockOn) {
    // In the body.
    let result: anyhow::Result<()> = nursery!(<Supervise> async |n| {
        let dead = n.spawn(async { Err::<(), _>(boom()) });
        while !dead.is_finished() {
            tokio::task::yield_now().await;
        }
        block_on(Box::pin(dead));
        Ok(())
    })
    .await;
    assert_eq!(result.unwrap_err().to_string(), "boom");
    // In a child, in a blocking child's thread, in a borrowed child's nursery.
    let outcome = nursery!(<Supervise> async |n| -> anyhow::Result<()> {
        let in_child = n.spawn_with(async move |n: &Scope<anyhow::Error>| {
            let dead = n.spawn(async { Err::<(), _>(boom()) });
            while !dead.is_finished() {
                tokio::task::yield_now().await;
            }
            block_on(Box::pin(dead));
        });
        let failure = in_child.join().await.expect_err("it awaited a dead child");
        assert!(matches!(failure, Failure::Error(error) if error.to_string() == "boom"));
        let in_borrowed = n.spawn_borrowed(async {
            nursery!(async |n| {
                let dead = n.spawn(pending::<()>());
                n.cancel_children("it");
                while !dead.is_finished() {
                    tokio::task::yield_now().await;
                }
                block_on(Box::pin(dead));
                Ok::<_, anyhow::Error>(())
            })
            .await
        });
        let failure = in_borrowed.join().await.expect_err("it awaited a dead child");
        let Failure::Error(error) = failure else { panic!("{failure:?}") };
        assert_eq!(error.downcast::<Cancelled>().expect("a notice").reason(), Reason::AwaitedChild);
        Ok(())
    })
    .outcome()
    .await;
    assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome:?}");
}

/// P9: with a user's executor around the whole scope, on a thread that has only entered Tokio.
#[test]
fn scopes_run_in_other_executors_on_an_entered_runtime() {
    crate::support::watched(|| {
        let runtime = crate::support::two_workers();
        let _entered = runtime.enter();
        let scope = || {
            nursery!(async |n| -> Result<u8, Cancelled> {
                let a = n.spawn(async { Ok(1) });
                let b = n.spawn_borrowed(async { Ok(2) });
                n.defer(async |_| tokio::task::yield_now().await);
                let late = n.task().daemon().spawn(pending::<()>());
                drop(late);
                Ok(a.await + b.await)
            })
            .into_future()
        };
        assert_eq!(futures::executor::block_on(scope()).unwrap(), 3);
        assert_eq!(own_executor(scope()).unwrap(), 3);
    });
}

/// A nursery polled as a local task; its children are Tokio's.
#[test]
fn a_nursery_runs_inside_a_local_set() {
    paused(|| async {
        let live = Live::default();
        let local = tokio::task::LocalSet::new();
        let guards = [live.guard(), live.guard()];
        let task = local.spawn_local(async move {
            let not_send = std::rc::Rc::new(1_u8);
            let [in_child, in_body] = guards;
            nursery!(async move |n| -> Result<u8, Cancelled> {
                let _body = in_body;
                let child = n.spawn(async move {
                    let _child = in_child;
                    settle().await;
                    Ok(1_u8)
                });
                let dead = n.task().isolated().spawn(async { panic!("injected <local>") });
                assert!(dead.join().await.is_err_and(|failure| failure.is_panic()));
                Ok(child.await + *not_send)
            })
            .await
        });
        local.await;
        assert_eq!(task.await.expect("no panic").unwrap(), 2);
        assert_eq!(live.count(), 0);
    });
}

/// P3: a local set that nobody drives any more is dropped, and with it the scope.
#[test]
fn a_local_set_that_is_dropped_with_an_open_scope_inside_leaves_nothing() {
    paused(|| async {
        let live = Live::default();
        let local = tokio::task::LocalSet::new();
        let guards = [live.guard(), live.guard()];
        local.spawn_local(async move {
            let [child, finalizer] = guards;
            let _: Result<(), Cancelled> = nursery!(async move |n| {
                n.defer(async move |_| drop(finalizer));
                let _ = n.spawn(async move {
                    let _child = child;
                    pending::<()>().await;
                });
                pending().await
            })
            .await;
        });
        local.run_until(settle()).await;
        settle().await;
        assert_eq!(live.count(), 2, "undriven, but alive");
        drop(local);
        settle().await;
        assert_eq!(live.count(), 0);
    });
}

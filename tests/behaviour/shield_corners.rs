//! Shields where they meet something else: a deadline, a dead child, a stop from inside, a runtime without a timer.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, Nursery, OutcomeKind, OwnedScope, Ready, Scope, Supervise, nursery, shield};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// In virtual time: what waits for ever fails the test.
async fn ends<F: IntoFuture>(future: F) -> F::Output {
    timeout(1_000 * SECOND, future.into_future()).await.expect("it ends")
}

/// The deadline marks the frame inside the shield, which is not the child's.
#[tokio::test(start_paused = true)]
async fn a_shielded_child_that_misses_its_own_deadline_fails_as_any_other() {
    for shielded in [false, true] {
        let scope = nursery!(<Supervise> async |n: &Nursery<'_, Cancelled>| {
            let task = || if shielded { n.task().shielded(60 * SECOND) } else { n.task() };
            let late = task().timeout(SECOND).spawn(pending::<()>());
            let failure = late.join().await.unwrap_err();
            assert!(matches!(&failure, Failure::Cancelled(why) if why.is_deadline()), "{failure}");
            let borrowed = task().timeout(SECOND).spawn_borrowed(pending::<()>());
            assert!(borrowed.join().await.is_err());
            let started = task().timeout(SECOND).start(async |ready: Ready<()>| {
                pending::<()>().await;
                ready.signal(());
            });
            assert!(started.await.is_err());
            task().timeout(SECOND).spawn(pending::<()>());
            Ok(())
        });
        let outcome = ends(scope.outcome()).await;
        assert_eq!((outcome.kind(), outcome.failures().len()), (OutcomeKind::Partial, 1), "shielded: {shielded}");
        assert_eq!(outcome.report().duration, 4 * SECOND);
    }
}

/// P7: nothing hangs.
#[tokio::test(start_paused = true)]
async fn a_shielded_child_that_awaits_a_dead_one_ends_with_it() {
    let scope = nursery!(<Supervise> async |n: &Nursery<'_, &'static str>| {
        let waits = n.task().shielded(60 * SECOND).spawn_with(async |n: &Scope<&'static str>| {
            let dead = n.spawn(async {
                yield_now().await;
                Err::<(), _>("dead")
            });
            dead.await;
            Ok(())
        });
        assert!(waits.join().await.is_err());
        Ok(())
    });
    let outcome = ends(scope.outcome()).await;
    let errors: Vec<_> = outcome.failures().iter().filter_map(Failure::as_error).collect();
    assert_eq!(errors, [&"dead"]);
}

/// As an unshielded task, whose handle says that it panicked.
#[tokio::test(start_paused = true)]
async fn an_ambient_task_that_awaits_a_dead_child_says_so_shielded_or_not() {
    for shielded in [false, true] {
        let code = async {
            let owned = OwnedScope::<&'static str>::builder().policy(Supervise).open();
            let dead = owned.spawn(async { Err::<(), _>("dead") });
            dead.await;
        };
        let task = if shielded { sc_tokio::spawn_shielded(SECOND, code) } else { sc_tokio::spawn(code) };
        let ended = ends(task).await.unwrap_err();
        assert!(ended.is_panic(), "shielded: {shielded}: {ended}");
    }
}

async fn shields_for_ever() -> Result<(), Cancelled> {
    loop {
        shield(SECOND, sleep(SECOND / 2)).await?;
    }
}

async fn nurseries_for_ever() -> Result<(), Cancelled> {
    loop {
        nursery!(async |_n| shield(SECOND, sleep(SECOND / 2)).await).await?;
    }
}

/// P9: the time of every shield counts from the cancellation, not from its own beginning.
#[tokio::test(start_paused = true)]
async fn shield_after_shield_does_not_keep_a_stopped_child_alive() {
    for how in ["handle", "children", "daemon", "scope", "nested", "daemon's nursery"] {
        let scope = nursery!(async |n: &Nursery<'_, Cancelled>| {
            let child = match how {
                "daemon" => n.task().daemon().spawn(shields_for_ever()),
                "daemon's nursery" => n.task().daemon().spawn(nurseries_for_ever()),
                "nested" => n.spawn(nurseries_for_ever()),
                _ => n.spawn(shields_for_ever()),
            };
            sleep(10 * SECOND + SECOND / 4).await;
            match how {
                "handle" => child.cancel().await,
                "children" => n.cancel_children("enough"),
                "scope" | "nested" => n.cancel("enough"),
                _ => {}
            }
            Ok(())
        });
        let started = Instant::now();
        let _ = ends(scope.outcome()).await;
        assert_eq!(started.elapsed(), 11 * SECOND + SECOND / 4, "{how}");
    }
}

async fn steps() {
    for _ in 0..10 {
        yield_now().await;
    }
}

async fn shield_and_wait() -> Result<(), Cancelled> {
    shield(SECOND, steps()).await?;
    pending().await
}

/// A stop without a grace needs no timer, whatever is shielded.
#[test]
fn without_a_timer_a_shielded_child_can_be_stopped() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let result = nursery!(async |n: &Nursery<'_, Cancelled>| {
            let child = n.spawn(shield_and_wait());
            let whole = n.task().shielded(SECOND).spawn(steps());
            yield_now().await;
            yield_now().await;
            child.cancel().await;
            whole.cancel().await;
            n.spawn(shield_and_wait());
            yield_now().await;
            n.cancel_children("the rest");
            Ok(())
        });
        assert!(result.await.is_ok());
    });
}

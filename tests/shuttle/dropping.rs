//! What is dropped early: a scope's future, a frame with a scope in it, a child's handle (P1, P3).

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use sc_tokio::{Cancelled, Reason, Scope, scope};
use shuttle_tokio::sync::oneshot;

use crate::support::{Flag, Live, Seen, a_few, block_on, explore, explore_more, linger, outside, pause, poll_until};

/// Longer than any clock here goes.
const GRACE: Duration = Duration::from_secs(3600);

/// What there is to see of a scope whose future may be dropped.
#[derive(Debug, Clone, Default)]
struct Dropped {
    opened: Flag,
    finalized: Flag,
    live: Live,
}

impl Dropped {
    /// A scope with two children, of which one opens a scope of its own.
    async fn run(&self, with_finalizer: bool) -> Result<(), Cancelled> {
        let inner = scope(async |s: &Scope<Cancelled>| {
            self.opened.raise();
            if with_finalizer {
                let (finalized, alive) = (self.finalized.clone(), self.live.value());
                s.defer(async move |_| {
                    pause().await;
                    drop(alive);
                    finalized.raise();
                });
            }
            let (leaf, alive) = (self.live.clone(), self.live.value());
            let branch = s.spawn(async move {
                let nested = scope(async |n: &Scope<Cancelled>| {
                    let alive = leaf.value();
                    let leaf = n.spawn(async move {
                        pause().await;
                        drop(alive);
                    });
                    drop(leaf);
                    Ok(())
                });
                let result = nested.await;
                drop(alive);
                result
            });
            drop(branch);
            let alive = self.live.value();
            let other = s.spawn(async move { drop(alive) });
            drop(other);
            Ok(())
        });
        inner.await
    }
}

/// The scope's future is polled until another task says so, then dropped. Gives whether it resolved, and how
/// many values were alive after that.
fn drop_against_completion(with_finalizer: bool) -> (bool, usize) {
    let dropped = Dropped::default();
    let (result, resolved, alive) = block_on(async {
        let (enough, had_enough) = oneshot::channel::<()>();
        let (mut resolved, mut alive) = (false, 0);
        let impatient = outside(async move {
            linger().await;
            enough.send(())
        });
        let result: Result<(), Cancelled> = scope(async |_: &Scope<Cancelled>| {
            resolved = poll_until(dropped.run(with_finalizer), had_enough).await.is_some();
            alive = dropped.live.count();
            Ok(())
        })
        .await;
        assert_eq!(dropped.live.count(), 0, "the parent waited for what its child left behind");
        let _ = impatient.await.unwrap();
        (result, resolved, alive)
    });
    assert!(result.is_ok(), "what a dropped scope cancels is not its parent's failure");
    let has_run = dropped.finalized.is_up();
    assert_eq!(has_run, with_finalizer && dropped.opened.is_up(), "finalizers run on every exit");
    assert!(!resolved || alive == 0, "a scope that resolved left nothing");
    (resolved, alive)
}

#[test]
fn a_scope_dropped_while_its_children_end_is_adopted_or_closed() {
    explore(&["resolved", "adopted", "closed when dropped"], |seen| {
        seen.saw(match drop_against_completion(false) {
            (true, _) => "resolved",
            (false, 0) => "closed when dropped",
            (false, _) => "adopted",
        });
    });
}

#[test]
fn a_dropped_scope_runs_its_finalizers_before_its_parent_resolves() {
    explore(&["resolved", "dropped"], |seen| {
        let (resolved, _) = drop_against_completion(true);
        seen.saw(if resolved { "resolved" } else { "dropped" });
    });
}

/// The scope's future is forgotten: its opener's end cancels it, while its children end.
fn forget_against_completion(seen: &Seen) {
    let (dropped, ended) = (Dropped::default(), Flag::default());
    let alive = block_on(async {
        let mut alive = 0;
        let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
            let (in_child, at_end) = (dropped.clone(), ended.clone());
            let opener = s.spawn(async move {
                let mut forgotten = Box::pin(async move { in_child.run(true).await });
                let polled_once = std::future::poll_fn(|cx| {
                    let _ = Pin::new(&mut forgotten).poll(cx).is_ready();
                    Poll::Ready(())
                });
                polled_once.await;
                std::mem::forget(forgotten);
                at_end.raise();
            });
            let _ = opener.join().await;
            alive = dropped.live.count();
            Ok(())
        })
        .await;
        assert!(result.is_ok(), "a forgotten scope is not its ancestor's failure");
        alive
    });
    assert!(ended.is_up() && dropped.finalized.is_up(), "the forgotten scope was finalized");
    assert_eq!(dropped.live.count(), 0, "an ancestor waits for the tasks of a forgotten scope");
    seen.saw(if alive > 0 { "adopted" } else { "closed first" });
}

#[test]
fn a_forgotten_scope_is_waited_for_by_an_ancestor() {
    explore(&["adopted", "closed first"], forget_against_completion);
}

/// What became of a scope whose future left the frame that opened it.
#[derive(Debug, Clone, Copy)]
enum CarriedOut {
    /// It was done at its first poll.
    Not,
    Resolved(Option<Reason>),
    Dropped {
        alive: usize,
    },
}

/// A scope's future leaves the frame that opened it unfinished, and is polled or dropped elsewhere
/// while that frame's end cancels the scope.
fn carried_out(drop_it: bool) -> CarriedOut {
    let (dropped, fate) = (Dropped::default(), Arc::new(Mutex::new(CarriedOut::Not)));
    let (send, receive) = oneshot::channel::<Pin<Box<dyn Future<Output = Result<(), Cancelled>> + Send>>>();
    block_on(async {
        let (noted, live) = (Arc::clone(&fate), dropped.live.clone());
        let elsewhere = outside(async move {
            let Ok(future) = receive.await else { return };
            let what = if drop_it {
                linger().await;
                drop(future);
                CarriedOut::Dropped { alive: live.count() }
            } else {
                CarriedOut::Resolved(future.await.err().map(|cancelled| cancelled.reason()))
            };
            *noted.lock().unwrap() = what;
        });
        let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
            let in_child = dropped.clone();
            let opener = s.spawn(async move {
                let mut future = Box::pin(async move { in_child.run(true).await });
                let first = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx)));
                if first.await.is_pending() {
                    drop(send.send(future));
                    linger().await;
                }
            });
            drop(opener);
            Ok(())
        })
        .await;
        assert!(result.is_ok(), "a scope that was carried out is not its ancestor's failure");
        assert!(dropped.finalized.is_up(), "the scope was finalized before its ancestor resolved");
        assert_eq!(dropped.live.count(), 0, "an ancestor waits for the tasks of a scope that was carried out");
        elsewhere.await.unwrap();
    });
    *fate.lock().unwrap()
}

#[test]
fn a_scope_carried_out_of_its_frame_resolves_wherever_it_is_polled() {
    explore(&["done at once", "ended by itself", "its opener ended"], |seen| {
        seen.saw(match carried_out(false) {
            CarriedOut::Not => "done at once",
            CarriedOut::Resolved(None) => "ended by itself",
            CarriedOut::Resolved(Some(Reason::OpenerEnded)) => "its opener ended",
            impossible => unreachable!("{impossible:?}"),
        });
    });
}

/// As [`carried_out`], reduced to what matters while two tasks could carry the same scope: its driver polled
/// again and again, its opener's end, and the reaper.
fn polled_while_its_opener_ends(seen: &Seen) {
    let (live, awaited) = (Live::default(), Flag::default());
    let (send, receive) = oneshot::channel::<Pin<Box<dyn Future<Output = Result<(), Cancelled>> + Send>>>();
    let result = block_on(async {
        let at_last = awaited.clone();
        let elsewhere = outside(async move {
            let mut future = receive.await.expect("the scope waits for a signal");
            for _ in 0..a_few() {
                let look = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx)));
                if let Poll::Ready(result) = look.await {
                    return result;
                }
                pause().await;
            }
            at_last.raise();
            future.await
        });
        let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
            let alive = live.value();
            let opener = s.spawn(async move {
                let mut future: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
                    let inner = scope(async move |n: &Scope<Cancelled>| {
                        // In its grace, so that there is something to wait for once it is cancelled.
                        let child = n.spawn_with(async move |n: &Scope<Cancelled>| {
                            n.cancelled().await;
                            linger().await;
                            drop(alive);
                        });
                        drop(child);
                        Ok(())
                    });
                    inner.grace(GRACE).await
                });
                let first = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx)));
                assert!(first.await.is_pending(), "its child waits for its cancellation");
                drop(send.send(future));
                linger().await;
            });
            drop(opener);
            Ok(())
        })
        .await;
        assert!(result.is_ok(), "a scope that was carried out is not its ancestor's failure");
        assert_eq!(live.count(), 0, "an ancestor waits for the tasks of a scope that was carried out");
        elsewhere.await.unwrap()
    });
    assert_eq!(result.unwrap_err().reason(), Reason::OpenerEnded);
    seen.saw(if awaited.is_up() { "resolved when awaited" } else { "resolved when looked at" });
}

#[test]
fn a_scope_polled_while_its_opener_ends_has_one_carrier() {
    explore(&["resolved when awaited", "resolved when looked at"], polled_while_its_opener_ends);
}

#[test]
fn a_scope_carried_out_of_its_frame_and_dropped_is_waited_for() {
    explore(&["done at once", "dropped with children", "dropped with none"], |seen| {
        seen.saw(match carried_out(true) {
            CarriedOut::Not => "done at once",
            CarriedOut::Dropped { alive: 0 } => "dropped with none",
            CarriedOut::Dropped { .. } => "dropped with children",
            impossible @ CarriedOut::Resolved(_) => unreachable!("{impossible:?}"),
        });
    });
}

/// The handle of a child is dropped while the child exits with an output.
pub(crate) fn handle_drop_against_exit(seen: &Seen) {
    let (output, in_body) = (Live::default(), Flag::default());
    let result: Result<(), Cancelled> = block_on(
        scope(async |s: &Scope<Cancelled>| {
            let value = output.value();
            let child = s.spawn(async move { Ok(value) });
            linger().await;
            drop(child);
            if output.count() == 0 {
                in_body.raise();
            }
            Ok(())
        })
        .into_future(),
    );
    assert_eq!(output.count(), 0, "an output that nobody took is dropped before the scope resolves");
    assert!(result.is_ok());
    seen.saw(if in_body.is_up() { "with its handle" } else { "parked" });
}

#[test]
fn an_output_whose_handle_is_dropped_is_gone_before_the_scope_resolves() {
    explore(&["with its handle", "parked"], handle_drop_against_exit);
}

#[test]
fn the_output_of_a_daemon_or_a_blocking_child_is_gone_as_well() {
    explore(&["both with their handles", "one of them", "both later"], |seen| {
        let outputs = Live::default();
        let left_over = block_on(async {
            let mut left = 0;
            let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                let (a, b) = (outputs.value(), outputs.value());
                let daemon = s.task().daemon().spawn(async move { Ok(a) });
                let blocking = s.spawn_blocking(move |_| Ok(b));
                linger().await;
                drop((daemon, blocking));
                left = outputs.count();
                Ok(())
            })
            .await;
            assert!(result.is_ok());
            left
        });
        assert_eq!(outputs.count(), 0, "no output outlives the scope");
        seen.saw(["both with their handles", "one of them", "both later"][left_over]);
    });
}

#[test]
fn the_output_of_a_daemon_whose_handle_another_daemon_drops_after_the_drain_is_gone_as_well() {
    explore_more(4, &["gave a value", "was stopped"], |seen| {
        let (outputs, ended) = (Live::default(), Flag::default());
        let result: Result<(), Cancelled> = block_on(
            scope(async |s: &Scope<Cancelled>| {
                let (outputs, ended) = (outputs.clone(), ended.clone());
                let (spawned, has_spawned) = oneshot::channel::<()>();
                let older = s.task().daemon().spawn_with(async move |s: &Scope<Cancelled>| {
                    let newer = s.task().daemon().spawn(async move {
                        linger().await;
                        let output = outputs.value();
                        ended.raise();
                        Ok(output)
                    });
                    let _ = spawned.send(());
                    std::future::pending::<()>().await;
                    drop(newer);
                });
                drop(older);
                let _ = has_spawned.await;
                Ok(())
            })
            .into_future(),
        );
        assert!(result.is_ok());
        assert_eq!(outputs.count(), 0, "no output outlives the scope");
        seen.saw(if ended.is_up() { "gave a value" } else { "was stopped" });
    });
}

#[test]
fn a_daemon_that_waits_is_dropped_with_its_scope_future() {
    explore(&["resolved", "dropped"], |seen| {
        let live = Live::default();
        let resolved = block_on(async {
            let (enough, had_enough) = oneshot::channel::<()>();
            let impatient = outside(async move {
                linger().await;
                enough.send(())
            });
            let mut resolved = false;
            let result: Result<(), Cancelled> = scope(async |_: &Scope<Cancelled>| {
                let inner = scope(async |s: &Scope<Cancelled>| {
                    let alive = live.value();
                    let daemon = s.task().daemon().spawn(async move {
                        let _alive = alive;
                        std::future::pending::<()>().await;
                    });
                    drop(daemon);
                    let last = s.spawn(pause());
                    drop(last);
                    Ok(())
                });
                resolved = poll_until(inner.into_future(), had_enough).await.is_some();
                Ok(())
            })
            .await;
            assert!(result.is_ok());
            let _ = impatient.await.unwrap();
            resolved
        });
        assert_eq!(live.count(), 0, "the daemon of a dropped scope is stopped and waited for");
        seen.saw(if resolved { "resolved" } else { "dropped" });
    });
}

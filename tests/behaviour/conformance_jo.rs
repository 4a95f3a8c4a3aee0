//! Cases of the table of conformance (JO) that no test of a single part shows; here those of joins, scopes and time. The
//! ids are those of its rows.
//!
//! What happens in a scope that is cancelled already is carried out of it and looked at there: a panic inside would be
//! secondary (P5), and pass.

mod cancelling;
mod resources;

use std::future::pending;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, Joiner, Phase, Reason, Scope, Tree, join, nursery, scope_local, shield};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{Alive, Live, Log, both_flavours};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

scope_local! {
    static LAYER: u32;
}

/// A child that never ends by itself.
async fn hold(guard: Alive) {
    let _guard = guard;
    pending::<()>().await;
}

// Joins.

/// As `Joiner.allUntil` of JEP 505: everybody's slot, until an end at which to stop.
struct Until<T, E, P> {
    stops: P,
    slots: Vec<Option<Result<T, Failure<E>>>>,
}

impl<T, E, P> Until<T, E, P>
where
    P: FnMut(&Result<T, Failure<E>>) -> bool,
{
    fn new(stops: P) -> Self {
        Self { stops, slots: Vec::new() }
    }
}

impl<T, E, P> Joiner<T, E> for Until<T, E, P>
where
    P: FnMut(&Result<T, Failure<E>>) -> bool,
{
    type Output = Vec<Option<Result<T, Failure<E>>>>;

    fn begin(&mut self, count: usize) -> ControlFlow<()> {
        self.slots.resize_with(count, || None);
        ControlFlow::Continue(())
    }

    fn on_exit(&mut self, index: usize, exit: Result<T, Failure<E>>) -> ControlFlow<()> {
        let stops = (self.stops)(&exit);
        self.slots[index] = Some(exit);
        if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn finish(self, _cut: Option<Cancelled>, _unclaimed: &mut Vec<Failure<E>>) -> Self::Output {
        self.slots
    }
}

/// JO-JP-12, JO-RC-08.
#[tokio::test(start_paused = true)]
async fn a_joiner_that_stops_at_the_first_end_of_any_kind_has_a_slot_for_everybody() {
    let start = Instant::now();
    let group = [3_u32, 1, 2].map(|seconds| async move {
        sleep(seconds * SECOND).await;
        if seconds == 1 {
            anyhow::bail!("the first to end");
        }
        Ok(seconds)
    });
    let slots = join::with(Until::new(|_| true), group).await;
    assert_eq!(start.elapsed(), SECOND);
    assert!(matches!(&slots[..], [None, Some(Err(Failure::Error(_))), None]), "{slots:?}");
}

/// JO-JP-13.
#[tokio::test(start_paused = true)]
async fn a_joiner_that_counts_failures_stops_a_group_that_is_still_being_started() {
    let begun = AtomicUsize::new(0);
    let group = (1..=7_u32).map(|number| {
        let begun = &begun;
        async move {
            begun.fetch_add(1, Ordering::SeqCst);
            sleep(SECOND).await;
            if number % 2 == 0 {
                anyhow::bail!("{number}");
            }
            Ok(number)
        }
    });
    let mut left = 2;
    let stops = move |end: &Result<u32, Failure<anyhow::Error>>| {
        left -= u32::from(end.is_err());
        left == 0
    };
    let slots = join::with(Until::new(stops), group).limit(1).await;
    let ends: Vec<_> = slots.iter().map(|slot| slot.as_ref().map(Result::is_ok)).collect();
    assert_eq!(ends, [Some(true), Some(false), Some(true), Some(false), None, None, None]);
    assert_eq!(begun.load(Ordering::SeqCst), 4, "the others never began");
}

/// JO-RC-05.
#[tokio::test(start_paused = true)]
async fn a_race_that_is_won_gives_its_value_though_its_caller_is_cancelled_meanwhile() {
    let (start, mut seen) = (Instant::now(), None);
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        let stop = n.canceller();
        n.spawn(async move {
            sleep(2 * SECOND).await;
            stop.cancel("while the loser is waited for");
        });
        let race = join::first_ok([true, false].map(|wins| async move {
            if wins {
                sleep(SECOND).await;
            } else {
                sc_tokio::cancelled().await;
                sleep(2 * SECOND).await;
            }
            Ok::<_, Cancelled>(wins)
        }));
        let won = race.grace(5 * SECOND).await.unwrap_or_default();
        seen = Some((won, start.elapsed(), sc_tokio::checkpoint().await.is_err()));
        Ok(())
    })
    .grace(10 * SECOND)
    .await;
    assert_eq!(seen, Some((true, 3 * SECOND, true)), "its value, and then the cancellation");
    assert!(result.is_ok(), "nothing was cut short");
}

/// JO-RC-11.
#[tokio::test(start_paused = true)]
async fn a_race_waits_for_a_loser_that_is_shielded() {
    let start = Instant::now();
    let race = join::first_ok([1_u32, 45].map(|seconds| async move {
        if seconds > 1 {
            shield(60 * SECOND, sleep(seconds * SECOND)).await?;
            return pending().await;
        }
        sleep(SECOND).await;
        Ok::<_, Cancelled>(seconds)
    }));
    assert_eq!(race.await.unwrap(), 1);
    assert_eq!(start.elapsed(), 45 * SECOND);
}

// The scope that owns a child, and its life.

/// JO-OC-02, JO-OC-03.
#[test]
fn a_child_spawned_into_the_outer_scope_from_an_inner_one_outlives_the_inner_one() {
    both_flavours(|| async {
        let log = Log::new();
        nursery!(async |outer| -> Result<(), Cancelled> {
            let (open, gate) = oneshot::channel::<()>();
            let ends = log.clone();
            nursery!(async |_inner| -> Result<(), Cancelled> {
                outer.spawn(async move {
                    let _ = gate.await;
                    ends.add("child");
                });
                Ok(())
            })
            .await?;
            log.add("inner scope");
            open.send(()).unwrap();
            Ok(())
        })
        .await
        .unwrap();
        log.add("outer scope");
        assert_eq!(log.entries(), ["inner scope", "child", "outer scope"]);
    });
}

/// JO-OC-09.
#[test]
fn a_scope_that_is_never_awaited_never_begins_and_drops_its_captures() {
    both_flavours(|| async {
        for as_future in [false, true] {
            let (live, log) = (Live::new(), Log::new());
            let (guard, entries) = (live.one(), log.clone());
            let scope = nursery!(async move |n| -> Result<(), Cancelled> {
                entries.add("begun");
                n.spawn(hold(guard));
                Ok(())
            });
            assert_eq!(live.count(), 1);
            if as_future {
                drop(scope.into_future());
            } else {
                drop(scope);
            }
            assert_eq!((live.count(), log.entries().len()), (0, 0));
        }
    });
}

/// JO-NO-05.
#[test]
fn what_a_child_that_has_ended_spawned_is_cancelled_with_its_scope() {
    both_flavours(|| async {
        let (live, mut alive) = (Live::new(), 0);
        let (sibling, task) = (live.one(), live.one());
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            let between = n.spawn_with(async move |n: &Scope<Cancelled>| {
                n.spawn(hold(sibling));
                sc_tokio::spawn(hold(task));
            });
            between.await;
            for _ in 0..10 {
                yield_now().await;
            }
            alive = live.count();
            n.cancel("from the top");
            pending().await
        })
        .await;
        assert_eq!(result.unwrap_err().reason(), Reason::Requested);
        assert_eq!((alive, live.count()), (2, 0));
    });
}

/// JO-NO-02.
#[tokio::test]
async fn a_scope_may_outlive_a_binding_and_its_children_keep_the_value() {
    let scope = nursery!(async |n| -> Result<[Option<u32>; 2], Cancelled> {
        let (open, gate) = oneshot::channel::<()>();
        let child = n.spawn(async move {
            let _ = gate.await;
            Ok(LAYER.try_get().ok())
        });
        yield_now().await; // the binding ends
        let body = LAYER.try_get().ok();
        open.send(()).unwrap();
        Ok([child.await, body])
    });
    let mut scope = Box::pin(scope.into_future());
    LAYER.sync_scope(7, || {
        let polled = scope.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    });
    assert_eq!(scope.await.unwrap(), [Some(7), None]);
}

/// JO-TD-01, JO-TD-07.
#[test]
fn the_tree_lists_scopes_below_those_they_were_opened_in_and_why_they_end() {
    both_flavours(|| async {
        let mut trees = Vec::new();
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            let (ready, mut opened) = mpsc::unbounded_channel();
            let (open, gate) = watch::channel(false);
            for name in ["left", "right"] {
                let (ready, mut gate) = (ready.clone(), gate.clone());
                n.spawn(async move {
                    nursery!(async |inner| -> Result<(), Cancelled> {
                        inner.spawn(async move {
                            let _ = gate.wait_for(|open| *open).await;
                        });
                        ready.send(()).unwrap();
                        Ok(())
                    })
                    .named(name)
                    .await
                });
            }
            for _ in 0..2 {
                opened.recv().await.unwrap();
            }
            trees.push(sc_tokio::tree());
            n.cancel("looked at");
            trees.push(sc_tokio::tree());
            open.send(true).unwrap();
            Ok(())
        })
        .named("outer")
        .grace(HOUR)
        .await;
        assert!(result.is_ok());
        for (tree, cancelled) in trees.iter().zip([false, true]) {
            check_tree(tree, cancelled);
        }
    });
}

#[track_caller]
fn check_tree(tree: &Tree, cancelled: bool) {
    let at = tree.scopes.iter().position(|scope| scope.name.as_deref() == Some("outer")).expect("it is listed");
    let (outer, below) = (&tree.scopes[at], &tree.scopes[at + 1..]);
    assert_eq!((outer.children, outer.phase == Phase::Draining), (2, cancelled), "{tree}");
    assert_eq!(outer.cancelled.as_ref().map(Cancelled::is_inherited), cancelled.then_some(false));
    for name in ["left", "right"] {
        let scope = below.iter().find(|scope| scope.name.as_deref() == Some(name)).expect("it is listed");
        assert_eq!((scope.depth, scope.children), (outer.depth + 1, 1), "{tree}");
        assert_eq!(scope.cancelled.as_ref().map(Cancelled::is_inherited), cancelled.then_some(true));
    }
}

// Time.

/// JO-ST-01, JO-ST-15.
#[tokio::test(start_paused = true)]
async fn a_scope_that_ended_in_time_is_not_cancelled_when_its_deadline_passes() {
    let (start, mut kept) = (Instant::now(), None);
    let value = nursery!(async |n| -> Result<u8, Cancelled> {
        kept = Some(n.canceller());
        let child = n.spawn(async {
            sleep(SECOND).await;
            Ok(7)
        });
        Ok(child.await)
    })
    .timeout(24 * HOUR)
    .await;
    assert_eq!((value.unwrap(), start.elapsed()), (7, SECOND));
    sleep(48 * HOUR).await;
    let kept = kept.unwrap();
    assert!(kept.is_closed() && !kept.is_cancelled());
}

/// JO-ST-11, JO-CF-20.
#[tokio::test(start_paused = true)]
async fn when_an_outer_deadline_expires_clean_up_goes_from_the_inside_out() {
    let log = Log::new();
    let (inside, outside) = (log.clone(), log.clone());
    let result = nursery!(async |outer| -> Result<(), Cancelled> {
        outer.defer(async move |_end| outside.add("outer"));
        nursery!(async |inner| -> Result<(), Cancelled> {
            inner.defer(async move |_end| {
                sleep(SECOND).await;
                inside.add("inner");
            });
            pending().await
        })
        .await
    })
    .timeout(SECOND)
    .await;
    assert!(result.unwrap_err().is_deadline());
    assert_eq!(log.entries(), ["inner", "outer"]);
}

/// JO-CP-18.
#[tokio::test(start_paused = true)]
async fn as_an_io_error_a_deadline_is_a_time_out() {
    let late = nursery!(async |_n| -> io::Result<()> { pending().await }).timeout(SECOND).await.unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    let stopped = nursery!(async |n| -> io::Result<()> {
        n.cancel("no time-out");
        pending().await
    });
    assert_eq!(stopped.await.unwrap_err().kind(), io::ErrorKind::Other);
}

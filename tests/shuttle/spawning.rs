//! Spawning against what refuses it: an end, or a cancellation (P1, P7).

use sc_tokio::{Cancelled, Child, OutcomeKind, Reason, Scope, scope};

use crate::support::{Alive, Flag, Live, Seen, block_on, explore, linger, outside, pause};

/// What became of a child that was spawned late.
#[derive(Debug, Clone, Default)]
pub(crate) struct Late {
    spawned: Flag,
    accepted: Flag,
    polled: Flag,
    finished: Flag,
    live: Live,
}

impl Late {
    pub(crate) fn code(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (late, alive) = (self.clone(), self.live.value());
        async move {
            let _alive: Alive = alive;
            late.polled.raise();
            pause().await;
            late.finished.raise();
        }
    }

    fn note(&self, child: &Child<'_, (), Cancelled>) {
        self.spawned.raise();
        if child.id().is_some() {
            self.accepted.raise();
        } else {
            assert!(child.is_finished(), "the handle of a refused child has resolved");
            assert_eq!(self.live.count(), 0, "a refused child's captures are dropped at once");
        }
    }

    /// As [`judge`](Self::judge), of a task that has no handle to ask.
    pub(crate) fn judge_ambient(&self, spawned: bool) -> &'static str {
        if spawned {
            self.spawned.raise();
        }
        if self.finished.is_up() {
            self.accepted.raise();
        }
        self.judge()
    }

    /// To be called right after the scope has resolved, in which nothing was cancelled.
    fn judge(&self) -> &'static str {
        assert_eq!(self.live.count(), 0, "the scope waited for everything it accepted");
        if !self.spawned.is_up() {
            return "not spawned";
        }
        assert_eq!(self.accepted.is_up(), self.finished.is_up(), "accepted children run, and no others");
        assert_eq!(self.polled.is_up(), self.finished.is_up(), "a refused child is never polled");
        if self.accepted.is_up() { "accepted" } else { "refused" }
    }
}

/// A daemon spawns while the last ordinary child exits.
pub(crate) fn daemon_spawns_at_the_end(seen: &Seen) {
    let late = Late::default();
    let outcome = block_on(
        scope(async |s: &Scope<Cancelled>| {
            let in_daemon = late.clone();
            let daemon = s.task().daemon().spawn_with(async move |s: &Scope<Cancelled>| {
                let child = s.spawn(in_daemon.code());
                in_daemon.note(&child);
            });
            drop(daemon);
            let last = s.spawn(async {});
            drop(last);
            Ok(())
        })
        .outcome(),
    );
    assert_eq!(outcome.kind(), OutcomeKind::Ok);
    seen.saw(late.judge());
}

#[test]
fn a_spawn_that_meets_the_end_of_the_scope_runs_or_is_refused() {
    explore(&["accepted", "refused", "not spawned"], daemon_spawns_at_the_end);
}

/// Two ordinary children exit at once, while a daemon spawns.
pub(crate) fn two_exit_and_one_spawns(seen: &Seen) {
    let (late, live) = (Late::default(), Live::default());
    let outcome = block_on(
        scope(async |s: &Scope<Cancelled>| {
            let in_daemon = late.clone();
            let daemon = s.task().daemon().spawn_with(async move |s: &Scope<Cancelled>| {
                let child = s.spawn(in_daemon.code());
                in_daemon.note(&child);
            });
            drop(daemon);
            for _ in 0..2 {
                let alive = live.value();
                let child = s.spawn(async move { drop(alive) });
                drop(child);
            }
            Ok(())
        })
        .outcome(),
    );
    assert_eq!(outcome.kind(), OutcomeKind::Ok);
    assert_eq!(live.count(), 0, "the scope waited for both");
    seen.saw(late.judge());
}

#[test]
fn the_last_of_several_exits_is_told_apart_from_a_late_spawn() {
    explore(&["accepted", "refused", "not spawned"], two_exit_and_one_spawns);
}

#[test]
fn a_child_of_a_closing_scope_may_spawn() {
    explore(&["while open", "while closing"], |seen| {
        let (late, body_ended, closing) = (Late::default(), Flag::default(), Flag::default());
        let outcome = block_on(
            scope(async |s: &Scope<Cancelled>| {
                let (in_child, ended, closing) = (late.clone(), body_ended.clone(), closing.clone());
                let child = s.spawn_with(async move |s: &Scope<Cancelled>| {
                    linger().await;
                    if ended.is_up() {
                        closing.raise();
                    }
                    let child = s.spawn(in_child.code());
                    in_child.note(&child);
                });
                drop(child);
                pause().await;
                body_ended.raise();
                Ok(())
            })
            .outcome(),
        );
        assert_eq!(outcome.kind(), OutcomeKind::Ok);
        assert_eq!(late.judge(), "accepted", "whoever holds the scope open may spawn");
        seen.saw(if closing.is_up() { "while closing" } else { "while open" });
    });
}

#[test]
fn a_spawn_that_meets_a_cancellation_runs_or_is_never_polled() {
    explore(&["finished", "cut short", "stopped before its first poll", "refused"], |seen| {
        let late = Late::default();
        let result = block_on(async {
            let mut canceller = None;
            let result = scope(async |s: &Scope<Cancelled>| {
                let stop = s.canceller();
                canceller = Some(outside(async move {
                    linger().await;
                    stop.cancel("enough");
                }));
                let child = s.spawn(late.code());
                late.note(&child);
                Ok(())
            })
            .await;
            let alive = late.live.count();
            assert_eq!(alive, 0, "the scope waited for the captures");
            canceller.expect("the body ran").await.unwrap();
            result
        });
        let (polled, finished) = (late.polled.is_up(), late.finished.is_up());
        match &result {
            Ok(()) => assert!(finished, "a result that is `Ok` was not cut short"),
            Err(cancelled) => assert_eq!(cancelled.reason(), Reason::Requested),
        }
        assert_eq!(result.is_ok(), finished, "body and child were `Ok`, or something was cut short");
        seen.saw(match (late.accepted.is_up(), polled, finished) {
            (true, true, true) => "finished",
            (true, true, false) => "cut short",
            (true, false, false) => "stopped before its first poll",
            (false, false, false) => "refused",
            impossible => unreachable!("{impossible:?}"),
        });
    });
}

#[test]
fn a_daemon_that_meets_a_cancellation_is_stopped_or_refused() {
    explore(&["stopped", "refused", "stopped at the end"], |seen| {
        let (live, refused, cut) = (Live::default(), Flag::default(), Flag::default());
        block_on(async {
            let mut canceller = None;
            let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                let stop = s.canceller();
                canceller = Some(outside(async move {
                    linger().await;
                    stop.cancel("enough");
                }));
                let alive = live.value();
                let daemon = s.task().daemon().spawn(async move {
                    let _alive = alive;
                    std::future::pending::<()>().await;
                });
                if daemon.id().is_none() {
                    refused.raise();
                }
                linger().await;
                Ok(())
            })
            .await;
            assert_eq!(live.count(), 0, "a daemon that slipped in would be left behind");
            if result.is_err() {
                cut.raise();
            }
            canceller.expect("the body ran").await.unwrap();
        });
        seen.saw(match (refused.is_up(), cut.is_up()) {
            (true, _) => "refused",
            (false, true) => "stopped",
            (false, false) => "stopped at the end",
        });
    });
}

#[test]
fn a_scope_opened_by_a_daemon_at_the_end_is_waited_for() {
    explore(&["below its scope", "above it", "not opened"], |seen| {
        let (opened, under, live) = (Flag::default(), Flag::default(), Live::default());
        let outcome = block_on(
            scope(async |outer: &Scope<Cancelled>| {
                let inner = scope(async |s: &Scope<Cancelled>| {
                    let (opened, under, live) = (opened.clone(), under.clone(), live.clone());
                    let daemon = s.task().daemon().spawn_with(async move |s: &Scope<Cancelled>| {
                        let nested = scope(async |n: &Scope<Cancelled>| {
                            opened.raise();
                            // Spawned while the ordinary work is not done, it holds that open.
                            let alive = live.value();
                            let child = n.spawn(async move {
                                pause().await;
                                drop(alive);
                            });
                            drop(child);
                            if s.spawn(async {}).id().is_some() {
                                under.raise();
                            }
                            Ok(())
                        });
                        let _: Result<(), Cancelled> = nested.await;
                    });
                    drop(daemon);
                    let last = s.spawn(async {});
                    drop(last);
                    Ok(())
                });
                inner.await?;
                let _ = outer;
                Ok(())
            })
            .outcome(),
        );
        assert_eq!(outcome.kind(), OutcomeKind::Ok);
        assert_eq!(live.count(), 0, "whoever keeps the nested scope on its books waited for it");
        seen.saw(match (opened.is_up(), under.is_up()) {
            (false, _) => "not opened",
            (true, true) => "below its scope",
            (true, false) => "above it",
        });
    });
}

//! Shields: opened, finished and over at the moment of a cancellation (P6, P9).

use std::time::Duration;

use sc_tokio::explored::clock;
use sc_tokio::{Cancelled, Reason, Scope, scope, shield};

use crate::support::{Flag, Live, Seen, block_on, cancel_some_time, explore, explore_more, linger, outside, pause};

const LIMIT: Duration = Duration::from_secs(10);

/// The steps of a child with a shield inside.
#[derive(Debug, Clone, Default)]
struct Steps {
    begun: Flag,
    finished: Flag,
    went_on: Flag,
    live: Live,
}

impl Steps {
    fn code(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (steps, alive) = (self.clone(), self.live.value());
        async move {
            let _alive = alive;
            linger().await;
            let inside = steps.clone();
            let shielded = shield(LIMIT, async move {
                inside.begun.raise();
                pause().await;
                // A scope below is shielded with it.
                let alive = inside.live.value();
                let nested: Result<(), Cancelled> = scope(async |n: &Scope<Cancelled>| {
                    n.spawn(async move {
                        pause().await;
                        drop(alive);
                    })
                    .await;
                    Ok(())
                })
                .await;
                assert!(nested.is_ok(), "nothing of the cancellation is seen inside: {nested:?}");
                inside.finished.raise();
            });
            let shielded = shielded.await;
            assert!(shielded.is_ok(), "the time is not over: {shielded:?}");
            pause().await;
            steps.went_on.raise();
        }
    }

    fn judge(&self) -> &'static str {
        assert_eq!(self.live.count(), 0, "P1");
        assert_eq!(self.begun.is_up(), self.finished.is_up(), "a shield that was opened is finished");
        match (self.finished.is_up(), self.went_on.is_up()) {
            (true, true) => "went on",
            (true, false) => "stopped right after it",
            (false, _) => "not opened",
        }
    }
}

const OUTCOMES: [&str; 3] = ["went on", "stopped right after it", "not opened"];

#[test]
fn a_shield_opened_while_the_scope_is_cancelled_holds() {
    explore(&OUTCOMES, |seen: &Seen| {
        let steps = Steps::default();
        block_on(async {
            let mut canceller = None;
            let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                drop(s.spawn(steps.code()));
                canceller = Some(cancel_some_time(s.canceller()));
                Ok(())
            })
            .await;
            assert_eq!(result.is_ok(), steps.went_on.is_up());
            canceller.expect("the body ran").await.unwrap();
        });
        seen.saw(steps.judge());
    });
}

#[test]
fn a_shield_opened_in_the_body_while_the_scope_is_cancelled_holds() {
    explore(&OUTCOMES, |seen: &Seen| {
        let steps = Steps::default();
        block_on(async {
            let mut canceller = None;
            let _: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                canceller = Some(cancel_some_time(s.canceller()));
                steps.code().await;
                Ok(())
            })
            .await;
            canceller.expect("the body ran").await.unwrap();
        });
        seen.saw(steps.judge());
    });
}

/// Stopped by its handle, and all who are present at once.
fn stopped_from_inside(seen: &Seen, all: bool) {
    let steps = Steps::default();
    let result: Result<(), Cancelled> = block_on(
        scope(async |s: &Scope<Cancelled>| {
            let child = s.spawn(steps.code());
            linger().await;
            if all {
                s.cancel_children("all of you");
                let _ = child.join().await;
            } else {
                child.cancel().await;
            }
            Ok(())
        })
        .into_future(),
    );
    assert!(result.is_ok());
    seen.saw(steps.judge());
}

#[test]
fn a_shield_opened_while_all_children_are_stopped_holds() {
    explore(&OUTCOMES, |seen: &Seen| stopped_from_inside(seen, true));
}

#[test]
fn a_shield_opened_while_its_child_is_stopped_holds() {
    explore_more(2, &OUTCOMES, |seen: &Seen| stopped_from_inside(seen, false));
}

/// An ambient task can only be stopped by aborting it.
#[test]
fn a_shield_opened_in_an_ambient_task_while_the_scope_is_cancelled_holds() {
    explore_more(2, &OUTCOMES, |seen: &Seen| {
        let steps = Steps::default();
        block_on(async {
            let mut canceller = None;
            let _: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                drop(sc_tokio::spawn(steps.code()));
                canceller = Some(cancel_some_time(s.canceller()));
                Ok(())
            })
            .await;
            canceller.expect("the body ran").await.unwrap();
        });
        seen.saw(steps.judge());
    });
}

#[test]
fn a_child_shielded_as_a_whole_ends_by_itself_or_never_begins() {
    explore(&["finished", "refused"], |seen: &Seen| {
        let (live, finished, refused) = (Live::default(), Flag::default(), Flag::default());
        block_on(async {
            let mut canceller = None;
            let _: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                canceller = Some(cancel_some_time(s.canceller()));
                linger().await;
                let (alive, finish) = (live.value(), finished.clone());
                let child = s.task().shielded(LIMIT).spawn(async move {
                    let _alive = alive;
                    pause().await;
                    finish.raise();
                });
                if child.id().is_none() {
                    refused.raise();
                }
                Ok(())
            })
            .await;
            assert_eq!(live.count(), 0, "P1");
            canceller.expect("the body ran").await.unwrap();
        });
        match (refused.is_up(), finished.is_up()) {
            (false, true) => seen.saw("finished"),
            // Nothing was spawned either, if the body was cut first.
            (_, false) => seen.saw("refused"),
            (true, true) => unreachable!("a refused child does not run"),
        }
    });
}

/// The time of a shield is over while it comes to its end.
pub(crate) fn expiry_against_completion(seen: &Seen) {
    let (live, done, expired) = (Live::default(), Flag::default(), Flag::default());
    let result: Result<(), Cancelled> = block_on(async {
        let mut rival = None;
        let result = scope(async |s: &Scope<Cancelled>| {
            let (live, done, expired) = (live.clone(), done.clone(), expired.clone());
            drop(s.spawn(async move {
                let alive = live.value();
                let shielded = shield(LIMIT, async move {
                    let inside: Result<(), Cancelled> = scope(async |n: &Scope<Cancelled>| {
                        drop(n.spawn(async move {
                            linger().await;
                            drop(alive);
                        }));
                        Ok(())
                    })
                    .await;
                    if inside.is_ok() {
                        pause().await;
                    }
                });
                match shielded.await {
                    Ok(()) => done.raise(),
                    Err(cancelled) => {
                        assert_eq!(cancelled.reason(), Reason::Requested, "the outer cancellation comes through");
                        assert_eq!(live.count(), 0, "P1");
                        expired.raise();
                    }
                }
            }));
            s.cancel("enough");
            rival = Some(outside(async move {
                linger().await;
                clock::advance(LIMIT);
            }));
            Ok(())
        })
        .await;
        assert_eq!(live.count(), 0, "P1");
        rival.expect("the body ran").await.unwrap();
        result
    });
    seen.saw(match (done.is_up(), expired.is_up(), result.is_ok()) {
        (true, false, _) => "done in time",
        (false, true, _) => "over, and told so",
        (false, false, _) => "over, or never polled",
        (true, true, _) => unreachable!("both"),
    });
}

#[test]
fn a_shield_is_done_in_time_or_over() {
    explore(&["done in time", "over, and told so", "over, or never polled"], expiry_against_completion);
}

//! `with`: joiners of one's own, what they are told and when; and what becomes of their panics.

use std::future::pending;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use sc_tokio::join::{All, Settle};
use sc_tokio::{Cancelled, Failure, Joiner, Reason, join, nursery};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::{SECOND, both_ways, runs};
use crate::support::{Live, Log, both_flavours};

/// Writes down what it is told; breaks at the exit of a certain child, and panics where it is told to.
#[derive(Clone)]
struct Scribe {
    log: Log,
    live: Live,
    breaks_at: Option<usize>,
    panics_in: &'static str,
}

impl Scribe {
    fn new() -> Self {
        Self { log: Log::new(), live: Live::new(), breaks_at: None, panics_in: "" }
    }

    fn add(&self, place: &str, entry: String) {
        self.log.add(entry);
        if self.panics_in == place {
            std::panic::panic_any(7_u8);
        }
    }
}

impl<T: std::fmt::Debug, E: std::fmt::Display> Joiner<T, E> for Scribe {
    type Output = Vec<String>;

    fn begin(&mut self, count: usize) -> ControlFlow<()> {
        self.add("begin", format!("{count} to run"));
        ControlFlow::Continue(())
    }

    fn on_exit(&mut self, index: usize, exit: Result<T, Failure<E>>) -> ControlFlow<()> {
        let end = exit.map_or_else(|failure| failure.to_string(), |value| format!("{value:?}"));
        self.add("on_exit", format!("{index}: {end}"));
        if self.breaks_at == Some(index) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn finish(self, cut: Option<Cancelled>, _: &mut Vec<Failure<E>>) -> Vec<String> {
        self.add("finish", format!("{} alive, cut: {:?}", self.live.count(), cut.map(|cut| cut.reason())));
        self.log.entries()
    }
}

#[tokio::test(start_paused = true)]
async fn a_joiner_is_told_of_each_exit_in_the_order_of_the_ends() {
    let group = || [runs(3, "a", true), runs(1, "b", false), runs(2, "c", true)];
    both_ways!(with = join::with(Scribe::new(), group()) => {
        assert_eq!(with.await, ["3 to run", "1: b", "2: \"c\"", "0: \"a\"", "0 alive, cut: None"]);
    });
}

#[tokio::test(start_paused = true)]
async fn after_a_break_it_is_told_of_nobody_and_finishes_when_everybody_is_gone() {
    let group = |live: &Live| {
        [3, 1, 1, 2].map(|seconds| {
            let guard = live.one();
            async move {
                let _guard = guard;
                sleep(seconds * SECOND).await;
                anyhow::Ok(seconds)
            }
        })
    };
    let scribe = || Scribe { breaks_at: Some(1), ..Scribe::new() };
    both_ways!(with = {
            let scribe = scribe();
            let group = group(&scribe.live);
            join::with(scribe, group)
        } => {
            assert_eq!(with.await, ["4 to run", "1: 1", "0 alive, cut: None"]);
        }
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_told_why_it_was_cut_short() {
    let group = || [runs(1, "a", true), runs(60, "b", true)];
    both_ways!(with = join::with(Scribe::new(), group()).timeout(2 * SECOND) => {
        assert_eq!(with.await, ["2 to run", "0: \"a\"", "0 alive, cut: Some(Deadline)"]);
    });
}

#[test]
fn a_joiner_that_panics_cancels_all_and_its_panic_goes_on() {
    both_flavours(|| async {
        for place in ["begin", "on_exit", "finish"] {
            let scribe = Scribe { panics_in: place, breaks_at: Some(1), ..Scribe::new() };
            let live = scribe.live.clone();
            let group = || {
                [0, 1, 2].map(|n| {
                    let guard = live.one();
                    async move {
                        let _guard = guard;
                        yield_now().await;
                        if n == 1 { anyhow::Ok(n) } else { pending().await }
                    }
                })
            };
            both_ways!(with = join::with(scribe.clone(), group()) => {
                let payload = AssertUnwindSafe(with.into_future()).catch_unwind().await.unwrap_err();
                assert_eq!(payload.downcast_ref(), Some(&7_u8), "{place}");
                assert_eq!(live.count(), 0, "{place}: everything was joined first");
            });
            let finished = scribe.log.entries().iter().any(|entry| entry.contains("alive"));
            assert_eq!(finished, place == "finish", "a joiner that panicked is not asked for more");
        }
    });
}

#[test]
fn a_joiner_may_borrow() {
    struct Sum<'a>(&'a mut u32);
    impl<E> Joiner<u32, E> for Sum<'_> {
        type Output = ();

        fn on_exit(&mut self, _: usize, exit: Result<u32, Failure<E>>) -> ControlFlow<()> {
            *self.0 += exit.unwrap_or_default();
            ControlFlow::Continue(())
        }

        fn finish(self, _: Option<Cancelled>, _: &mut Vec<Failure<E>>) {}
    }
    both_flavours(|| async {
        let mut sum = 0;
        join::with(Sum(&mut sum), [1, 2, 3].map(|n| async move { Ok::<_, Cancelled>(n) })).await;
        assert_eq!(sum, 6);
    });
}

#[test]
fn the_built_in_ones_are_values_and_need_no_conversion() {
    both_flavours(|| async {
        let fails = || [async { Err::<(), _>(std::fmt::Error) }];
        let failure = join::with(All::new(), fails()).await.unwrap_err();
        assert_eq!(failure.as_error(), Some(&std::fmt::Error));
        assert!(join::with(Settle::new(), fails()).parallel().await[0].is_err());
    });
}

/// P4: the error stays with its owner, and only the child that awaited ends with it.
#[test]
fn a_child_that_awaits_a_dead_child_of_an_outer_scope_ends_alone() {
    both_flavours(|| async {
        let mut seen = None;
        let outcome = nursery!(<sc_tokio::Supervise> async |n| -> Result<(), Cancelled> {
            let dead = n.spawn(async { assert!(sc_tokio::is_cancelled(), "dead") });
            let joined = async {
                dead.await;
                Ok::<_, Cancelled>(1)
            };
            let other = async {
                yield_now().await;
                Ok(2)
            };
            seen = Some(join::settle([joined.boxed(), other.boxed()]).await);
            Ok(())
        })
        .outcome()
        .await;
        let seen = seen.expect("the body went on");
        let [Err(Failure::Cancelled(dead)), Ok(2)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(dead.reason(), Reason::AwaitedChild);
        assert!(outcome.is_ok() && outcome.failures()[0].is_panic(), "{outcome:?}");
    });
}

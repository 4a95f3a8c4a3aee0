//! Seats under a limit: given out, given back, lent, and given up by those who leave the queue (P7, P9).
//!
//! In every schedule: never more run than there are seats, nobody waits for ever, and all seats are free at the end.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sc_tokio::explored::preempt;
use sc_tokio::{Cancelled, Limit, Scope, scope};
use shuttle_tokio::sync::oneshot;

use crate::support::{
    Flag, Live, Seen, a_few, block_on, cancel_some_time, explore, explore_more, linger, outside, pause, poll_until,
};

/// The seats, as those see them who sit on them.
#[derive(Debug, Clone)]
struct Seats {
    limit: Limit,
    taken: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// Somebody sits, until it is dropped.
struct Sitting(Arc<AtomicUsize>);

impl Drop for Sitting {
    fn drop(&mut self) {
        preempt();
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Seats {
    fn new(size: usize) -> Self {
        Self { limit: Limit::new(size), taken: Arc::default(), most: Arc::default() }
    }

    /// Sits down. `at_most` counts those who sit, this one included.
    fn sit(&self, at_most: usize) -> Sitting {
        let taken = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(taken, Ordering::SeqCst);
        assert!(taken <= at_most, "{taken} run under a limit of {at_most}");
        Sitting(Arc::clone(&self.taken))
    }

    /// The code of a child that needs its seat for a while.
    fn work(&self, at_most: usize) -> impl Future<Output = ()> + Send + 'static + use<> {
        let seats = self.clone();
        async move {
            let _sitting = seats.sit(at_most);
            pause().await;
        }
    }

    fn assert_free(&self) {
        assert_eq!(self.limit.available(), self.limit.size(), "a seat was lost");
        assert_eq!(self.limit.queued(), 0, "somebody is still in the queue");
    }
}

#[test]
fn a_seat_given_back_while_somebody_queues_up_is_taken() {
    explore(&["it was free", "queued"], |seen| {
        let (seats, queued, live) = (Seats::new(1), Flag::default(), Live::default());
        let result: Result<(), Cancelled> = block_on(
            scope(async |s: &Scope<Cancelled>| {
                drop(s.spawn(seats.work(1)));
                linger().await;
                for _ in 0..2 {
                    let (work, alive) = (seats.work(1), live.value());
                    drop(s.spawn(async move {
                        work.await;
                        drop(alive);
                    }));
                }
                if seats.limit.queued() == 2 {
                    queued.raise();
                }
                Ok(())
            })
            .limit(&seats.limit)
            .into_future(),
        );
        assert!(result.is_ok() && live.count() == 0);
        seats.assert_free();
        seen.saw(if queued.is_up() { "queued" } else { "it was free" });
    });
}

/// Somebody waits for a seat and gives up, while the seat comes free and another one is behind in the queue.
fn grant_against_drop(seen: &Seen) {
    let (seats, had_it) = (Seats::new(1), Flag::default());
    let result: Result<(), Cancelled> = block_on(async {
        let (enough, had_enough) = oneshot::channel::<()>();
        let impatient = outside(async move {
            linger().await;
            enough.send(())
        });
        let result = scope(async |s: &Scope<Cancelled>| {
            drop(s.spawn(seats.work(1)));
            pause().await;
            let reserve = s.reserve();
            // Polled by the same task, but second in the queue.
            let waiting = poll_until(reserve, had_enough);
            if let Some(permit) = waiting.await {
                had_it.raise();
                drop(permit?.spawn(seats.work(1)));
            }
            drop(s.spawn(seats.work(1)));
            drop(s.reserve().await?);
            Ok(())
        })
        .limit(&seats.limit)
        .await;
        let _ = impatient.await.unwrap();
        result
    });
    assert!(result.is_ok());
    seats.assert_free();
    seen.saw(if had_it.is_up() { "had it" } else { "gave up" });
}

#[test]
fn a_seat_given_to_somebody_who_gives_up_goes_to_the_next() {
    explore(&["had it", "gave up"], grant_against_drop);
}

#[test]
fn a_seat_given_to_a_child_that_is_stopped_goes_to_the_next() {
    explore(&["ran", "cut short", "never ran"], |seen| {
        let (seats, began, finished) = (Seats::new(1), Flag::default(), Flag::default());
        let result: Result<(), Cancelled> = block_on(
            scope(async |s: &Scope<Cancelled>| {
                drop(s.spawn(seats.work(1)));
                let (work, begin, finish) = (seats.work(1), began.clone(), finished.clone());
                let queued = s.spawn(async move {
                    begin.raise();
                    work.await;
                    finish.raise();
                });
                let behind = s.spawn(seats.work(1));
                linger().await;
                queued.cancel().await;
                behind.await;
                Ok(())
            })
            .limit(&seats.limit)
            .into_future(),
        );
        assert!(result.is_ok());
        seats.assert_free();
        seen.saw(match (began.is_up(), finished.is_up()) {
            (_, true) => "ran",
            (true, false) => "cut short",
            (false, false) => "never ran",
        });
    });
}

/// Two scopes share a limit, and one of them is cancelled. `blocking`: its children are closures.
fn cancelled_scope_of_two(seen: &Seen, blocking: bool) {
    let (seats, ran, live) = (Seats::new(1), Arc::new(AtomicUsize::new(0)), Live::default());
    block_on(async {
        let mut canceller = None;
        let other = seats.clone();
        let other = outside(async move {
            let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                let first = s.spawn(other.work(1));
                let second = s.spawn(other.work(1));
                first.await;
                second.await;
                Ok(())
            })
            .limit(&other.limit)
            .await;
            assert!(result.is_ok(), "the other scope is not concerned");
        });
        let _: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
            canceller = Some(cancel_some_time(s.canceller()));
            for _ in 0..2 {
                let (in_child, seats, alive) = (Arc::clone(&ran), seats.clone(), live.value());
                if blocking {
                    drop(s.spawn_blocking(move |_| {
                        let _sitting = seats.sit(1);
                        preempt();
                        in_child.fetch_add(1, Ordering::SeqCst);
                        drop(alive);
                    }));
                } else {
                    drop(s.spawn(async move {
                        let _alive = alive;
                        seats.work(1).await;
                        in_child.fetch_add(1, Ordering::SeqCst);
                    }));
                }
            }
            Ok(())
        })
        .limit(&seats.limit)
        .await;
        assert_eq!(live.count(), 0, "captures of the queued are dropped too");
        canceller.expect("the body ran").await.unwrap();
        other.await.unwrap();
    });
    seats.assert_free();
    seen.saw(["none ran", "one ran", "both ran"][ran.load(Ordering::SeqCst)]);
}

#[test]
fn a_cancelled_scope_leaves_the_seats_to_the_other_one() {
    explore(&["none ran", "one ran", "both ran"], |seen| cancelled_scope_of_two(seen, false));
}

#[test]
fn cancelled_closures_leave_their_seats_too() {
    explore(&["none ran", "one ran", "both ran"], |seen| cancelled_scope_of_two(seen, true));
}

/// A child awaits another one that needs its seat, until something else happens. A third one is in the queue.
fn lender_and_borrower(seen: &Seen) {
    let (seats, joined) = (Seats::new(1), Flag::default());
    let result: Result<(), Cancelled> = block_on(async {
        let (enough, had_enough) = oneshot::channel::<()>();
        let impatient = outside(async move {
            linger().await;
            enough.send(())
        });
        let result = scope(async |s: &Scope<Cancelled>| {
            let (seats_of_lender, joined) = (seats.clone(), joined.clone());
            let lender = s.spawn_with(async move |s: &Scope<Cancelled>| {
                let sitting = seats_of_lender.sit(1);
                let borrower = s.spawn(seats_of_lender.work(1));
                pause().await;
                drop(sitting);
                if poll_until(borrower, had_enough).await.is_some() {
                    joined.raise();
                }
                let _sitting = seats_of_lender.sit(1);
                pause().await;
            });
            let queued = s.spawn(seats.work(1));
            lender.await;
            queued.await;
            Ok(())
        })
        .limit(&seats.limit)
        .await;
        let _ = impatient.await.unwrap();
        result
    });
    assert!(result.is_ok());
    seats.assert_free();
    seen.saw(if joined.is_up() { "joined" } else { "gave up" });
}

#[test]
fn a_lender_that_is_woken_waits_for_a_seat() {
    explore_more(2, &["joined", "gave up"], lender_and_borrower);
}

/// A lender is stopped, while its borrower comes to its end.
fn stopped_lender(seen: &Seen) {
    let (seats, lent, went_on, borrowed) = (Seats::new(1), Flag::default(), Flag::default(), Flag::default());
    let result: Result<(), Cancelled> = block_on(
        scope(async |s: &Scope<Cancelled>| {
            let (in_lender, lend, go_on, borrow) = (seats.clone(), lent.clone(), went_on.clone(), borrowed.clone());
            let lender = s.spawn_with(async move |s: &Scope<Cancelled>| {
                let seats = in_lender.clone();
                let borrower = s.spawn(async move {
                    let _sitting = seats.sit(1);
                    pause().await;
                    borrow.raise();
                });
                lend.raise();
                borrower.await;
                let _sitting = in_lender.sit(1);
                go_on.raise();
            });
            let queued = s.spawn(seats.work(1));
            linger().await;
            linger().await;
            lender.cancel().await;
            queued.await;
            Ok(())
        })
        .limit(&seats.limit)
        .into_future(),
    );
    assert!(result.is_ok());
    assert_eq!(borrowed.is_up(), lent.is_up(), "a borrower is not its lender's child, and goes on");
    seats.assert_free();
    seen.saw(match (lent.is_up(), went_on.is_up()) {
        (_, true) => "went on",
        (true, false) => "stopped while it lent",
        (false, false) => "stopped before",
    });
}

#[test]
fn a_lender_that_is_stopped_leaves_its_seat_to_the_borrower() {
    explore_more(2, &["went on", "stopped while it lent", "stopped before"], stopped_lender);
}

#[test]
fn a_lender_waits_for_a_scope_whose_children_queue_up_later() {
    explore(&["lent", "a seat was free"], |seen| {
        let (seats, queued) = (Seats::new(2), Flag::default());
        let result: Result<(), Cancelled> = block_on(
            scope(async |s: &Scope<Cancelled>| {
                for _ in 0..2 {
                    let (seats, queued) = (seats.clone(), queued.clone());
                    drop(s.spawn(async move {
                        let inner = scope(async |n: &Scope<Cancelled>| {
                            let (seats, queued) = (seats.clone(), queued.clone());
                            // A daemon needs no seat, and spawns whenever it likes.
                            drop(n.task().daemon().spawn_with(async move |n: &Scope<Cancelled>| {
                                drop(n.spawn(seats.work(2)));
                                if seats.limit.queued() > 0 {
                                    queued.raise();
                                }
                            }));
                            pause().await;
                            Ok(())
                        });
                        inner.limit(&seats.limit).await
                    }));
                }
                Ok(())
            })
            .limit(&seats.limit)
            .into_future(),
        );
        assert!(result.is_ok());
        seats.assert_free();
        seen.saw(if queued.is_up() { "lent" } else { "a seat was free" });
    });
}

#[test]
fn a_limit_that_is_resized_seats_those_who_wait() {
    explore(&["two at once", "one by one"], |seen| {
        let seats = Seats::new(1);
        let result: Result<(), Cancelled> = block_on(async {
            let resized = seats.limit.clone();
            let resizer = outside(async move {
                linger().await;
                resized.resize(2);
                linger().await;
                resized.resize(1);
            });
            let result = scope(async |s: &Scope<Cancelled>| {
                for _ in 0..4 {
                    drop(s.spawn(seats.work(2)));
                }
                Ok(())
            })
            .limit(&seats.limit)
            .await;
            resizer.await.unwrap();
            result
        });
        assert!(result.is_ok());
        seats.assert_free();
        seen.saw(["none", "one by one", "two at once"][seats.most.load(Ordering::SeqCst)]);
    });
}

#[test]
fn a_permit_that_meets_a_cancellation_is_given_back() {
    explore(&["ran", "cut short", "refused", "no permit"], |seen| {
        let (seats, permitted, accepted, finished) = (Seats::new(1), Flag::default(), Flag::default(), Flag::default());
        block_on(async {
            let mut canceller = None;
            let held = seats.limit.clone();
            // Of another scope, so that the seat does not come free with the cancellation.
            let other = outside(async move {
                let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                    let permit = s.reserve().await?;
                    linger().await;
                    drop(permit);
                    Ok(())
                })
                .limit(held)
                .await;
                assert!(result.is_ok());
            });
            let _: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                canceller = Some(cancel_some_time(s.canceller()));
                linger().await;
                let reserved = s.reserve().await?;
                permitted.raise();
                preempt();
                let (work, finish) = (seats.work(1), finished.clone());
                let child = reserved.spawn(async move {
                    work.await;
                    finish.raise();
                });
                if child.id().is_some() {
                    accepted.raise();
                }
                Ok(())
            })
            .limit(&seats.limit)
            .await;
            let _ = (canceller.expect("the body ran").await, other.await);
        });
        seats.assert_free();
        seen.saw(match (permitted.is_up(), accepted.is_up(), finished.is_up()) {
            (false, ..) => "no permit",
            (true, false, _) => "refused",
            (true, true, false) => "cut short",
            (true, true, true) => "ran",
        });
    });
}

#[test]
fn seats_go_round_between_scopes_that_share_them() {
    explore(&["two at once", "one by one"], |seen| {
        let seats = Seats::new(2);
        block_on(async {
            let scopes = [(), (), ()].map(|()| {
                let seats = seats.clone();
                outside(async move {
                    let result: Result<(), Cancelled> = scope(async |s: &Scope<Cancelled>| {
                        drop(s.spawn(seats.work(2)));
                        (0..a_few()).for_each(|_| preempt());
                        let permit = s.reserve().await?;
                        drop(permit.spawn(seats.work(2)));
                        Ok(())
                    })
                    .limit(&seats.limit)
                    .await;
                    assert!(result.is_ok());
                })
            });
            for scope in scopes {
                scope.await.unwrap();
            }
        });
        seats.assert_free();
        seen.saw(["none", "one by one", "two at once"][seats.most.load(Ordering::SeqCst)]);
    });
}

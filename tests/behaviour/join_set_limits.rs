//! A set of tasks under a limit: seats are kept until results are taken, lent to tasks that are waited for, and never lost.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sc_tokio::{Cancelled, Limit, Scope, nursery};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{Live, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

async fn never<T, E>() -> Result<T, E> {
    pending().await
}

#[test]
fn under_a_limit_results_that_nobody_took_keep_the_next_task_waiting() {
    both_flavours(|| async {
        let limit = Limit::new(2);
        let outputs = Live::new();
        let most = Arc::new(AtomicUsize::new(0));
        nursery!(async |n| -> Result<(), Cancelled> {
            let mut set = n.join_set();
            for _ in 0..20 {
                let (outputs, most) = (outputs.clone(), Arc::clone(&most));
                set.spawn(async move {
                    let output = outputs.one();
                    most.fetch_max(outputs.count(), Ordering::SeqCst);
                    Ok(output)
                });
            }
            let mut taken = 0;
            while !set.is_empty() {
                for _ in 0..20 {
                    yield_now().await;
                }
                assert!(outputs.count() <= 2, "results wait in their seats");
                drop(set.join_next().await.unwrap().unwrap());
                taken += 1;
            }
            assert_eq!(taken, 20);
            assert_eq!(limit.available(), 2);
            Ok(())
        })
        .limit(&limit)
        .await
        .unwrap();
        assert_eq!(most.load(Ordering::SeqCst), 2, "and all seats were used");
    });
}

#[test]
fn a_set_that_is_dropped_gives_up_the_seats_of_its_results_and_of_its_tasks() {
    both_flavours(|| async {
        let limit = Limit::new(3);
        nursery!(async |n| -> Result<(), Cancelled> {
            let mut set = n.join_set();
            let running = limit.clone();
            set.spawn(async { Ok(1) });
            set.spawn(never());
            set.spawn_blocking(|_cx| Ok(1));
            set.spawn(async { Ok(2) }); // over the limit
            while n.len() > 2 {
                yield_now().await;
            }
            assert_eq!((running.available(), running.queued()), (0, 1));
            drop(set);
            let handles: Vec<_> = (0..3).map(|_| n.spawn(async { Ok(1) })).collect();
            for handle in handles {
                assert_eq!(handle.await, 1, "there are seats for others");
            }
            Ok(())
        })
        .limit(&limit)
        .await
        .unwrap();
        assert_eq!((limit.available(), limit.queued()), (3, 0));
    });
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_in_its_grace_after_the_set_is_gone_gives_up_its_seat_at_once() {
    let limit = Limit::new(1);
    nursery!(async |n| -> Result<(), Cancelled> {
        let begin = Instant::now();
        let mut set = n.join_set();
        set.spawn(async {
            sleep(SECOND).await;
            Ok(String::from("late"))
        });
        yield_now().await;
        drop(set);
        n.spawn(async {}).await;
        assert_eq!(begin.elapsed(), SECOND);
        Ok(())
    })
    .grace(5 * SECOND)
    .limit(&limit)
    .await
    .unwrap();
    assert_eq!(limit.available(), 1);
}

#[test]
fn a_child_with_the_only_seat_lends_it_to_the_tasks_it_waits_for() {
    both_flavours(|| async {
        for size in 1..4 {
            let limit = Limit::new(size);
            let sum = nursery!(async |n| -> Result<u32, Cancelled> {
                let owner = n.spawn_with(async |n: &Scope<Cancelled>| -> Result<u32, Cancelled> {
                    let mut set = n.join_set();
                    for i in 0..10 {
                        set.spawn(async move {
                            yield_now().await;
                            Ok(i)
                        });
                    }
                    let mut sum = 0;
                    while let Some(result) = set.join_next().await {
                        sum += result.map_err(|_| unreachable!()).unwrap_or(0);
                    }
                    Ok(sum)
                });
                Ok(owner.await)
            })
            .limit(&limit)
            .await
            .unwrap();
            assert_eq!(sum, 45);
            assert_eq!((limit.available(), limit.queued()), (size, 0));
        }
    });
}

#[test]
fn a_seat_is_lent_to_the_sets_own_tasks_and_not_to_others_in_the_queue() {
    both_flavours(|| async {
        nursery!(async |n| -> Result<(), Cancelled> {
            let owner = n.spawn_with(async |n: &Scope<Cancelled>| -> Result<(), Cancelled> {
                let (send, receive) = oneshot::channel();
                // First in the queue, and waits for what its spawner does only afterwards.
                n.spawn(async move {
                    let () = receive.await.unwrap();
                });
                let mut set = n.join_set();
                set.spawn(async { Ok(1) });
                assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
                send.send(()).unwrap();
                Ok(())
            });
            owner.await;
            Ok(())
        })
        .limit(1)
        .await
        .unwrap();
    });
}

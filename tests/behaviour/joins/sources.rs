//! `map` and `for_each`: over iterators and streams, with room for so many, keeping nothing (P11).

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::{FutureExt, Stream, StreamExt};
use sc_tokio::{Cancelled, join};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::{SECOND, both_ways};
use crate::support::{Live, both_flavours};

/// The stream of a channel.
fn received<T: Send>(receiver: mpsc::Receiver<T>) -> impl Stream<Item = T> + Send {
    futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)))
}

async fn slower_the_smaller(n: usize) -> Result<usize, Cancelled> {
    for _ in 0..(20_usize.saturating_sub(n)) {
        yield_now().await;
    }
    Ok(n)
}

#[test]
fn map_gives_values_in_the_order_of_the_items() {
    both_flavours(|| async {
        let expected: Vec<_> = (0..20).collect();
        both_ways!(map = join::map(0..20, slower_the_smaller) => {
            assert_eq!(map.await.unwrap(), expected);
        });
        both_ways!(map = join::map(join::stream(futures::stream::iter(0..20)), slower_the_smaller).limit(3) => {
            assert_eq!(map.await.unwrap(), expected);
        });
        let items: Vec<String> = expected.iter().map(ToString::to_string).collect();
        let lengths = join::map(&items, async |item: &String| Ok::<_, Cancelled>(item.len())).await.unwrap();
        assert_eq!(lengths.iter().sum::<usize>(), 30);
    });
}

#[test]
fn an_item_is_taken_only_when_there_is_room() {
    both_flavours(|| async {
        for limit in [None, Some(1), Some(5)] {
            let (taken, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let most = Arc::new(AtomicUsize::new(0));
            let items = || {
                let (taken, ended, most) = (Arc::clone(&taken), Arc::clone(&ended), Arc::clone(&most));
                (0..100).inspect(move |_| {
                    let in_flight = taken.fetch_add(1, Ordering::SeqCst) + 1 - ended.load(Ordering::SeqCst);
                    most.fetch_max(in_flight, Ordering::SeqCst);
                })
            };
            let work = |_| {
                let ended = Arc::clone(&ended);
                async move {
                    yield_now().await;
                    ended.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, Cancelled>(())
                }
            };
            both_ways!(each = {
                    let each = join::for_each(items(), work);
                    if let Some(limit) = limit { each.limit(limit) } else { each }
                } => {
                    each.await.unwrap();
                }
            );
            assert_eq!(most.load(Ordering::SeqCst), limit.unwrap_or(join::DEFAULT_LIMIT));
        }
    });
}

#[tokio::test(start_paused = true)]
async fn while_the_source_is_waited_for_the_children_go_on() {
    let (sender, receiver) = mpsc::channel(1);
    let done = Arc::new(AtomicUsize::new(0));
    let feed = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            sender.send(1).await.unwrap();
            sleep(10 * SECOND).await;
            assert_eq!(done.load(Ordering::SeqCst), 1, "the first child did not wait for the second item");
            sender.send(2).await.unwrap();
        }
    });
    join::for_each(join::stream(received(receiver)), |_| {
        let done = &done;
        async move {
            sleep(SECOND).await;
            done.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Cancelled>(())
        }
    })
    .await
    .unwrap();
    feed.await.unwrap();
    assert_eq!(done.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failing_child_ends_it_while_the_source_is_silent() {
    both_ways!(each = join::for_each(join::stream(futures::stream::iter([1]).chain(futures::stream::pending())), async |n| {
            sleep(SECOND).await;
            anyhow::bail!("item {n}")
        }) => {
            let start = Instant::now();
            assert_eq!(each.await.unwrap_err().to_string(), "item 1");
            assert_eq!(start.elapsed(), SECOND);
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_it_while_the_source_is_silent() {
    let nothing = futures::stream::pending::<u8>();
    let late = join::map(join::stream(nothing), async |n| Ok::<_, Cancelled>(n)).timeout(SECOND).await.unwrap_err();
    assert!(late.is_deadline());
}

/// Whether the join of this ends with this panic, and with nothing alive.
async fn panics_with(join: impl Future<Output = Result<(), Cancelled>>, message: &str, live: &Live) {
    let payload = AssertUnwindSafe(join).catch_unwind().await.unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&message));
    assert_eq!(live.count(), 0, "everything was joined first");
}

struct PanicsAt(usize);

impl Iterator for PanicsAt {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.0 = self.0.checked_sub(1).expect("the source is used up");
        assert!(self.0 != 0, "the source");
        Some(self.0)
    }
}

impl Stream for PanicsAt {
    type Item = usize;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<usize>> {
        Poll::Ready(Iterator::next(&mut *self))
    }
}

#[test]
fn a_source_or_closure_that_panics_cancels_all_and_goes_on_panicking() {
    both_flavours(|| async {
        let live = Live::new();
        let holds = |_| {
            let guard = live.one();
            async move {
                let _guard = guard;
                pending::<Result<(), Cancelled>>().await
            }
        };
        both_ways!(each = join::for_each(PanicsAt(4), holds) => {
            panics_with(each.into_future(), "the source", &live).await;
        });
        both_ways!(each = join::for_each(join::stream(PanicsAt(4)), holds) => {
            panics_with(each.into_future(), "the source", &live).await;
        });
        both_ways!(each = join::for_each(0..10, |n| {
                assert!(n != 5, "the closure");
                holds(n)
            }) => {
                panics_with(each.into_future(), "the closure", &live).await;
            }
        );
    });
}

#[test]
fn nothing_is_kept_of_finished_items() {
    both_flavours(|| async {
        const ITEMS: usize = 200_000;
        let (live, most, count) = (Live::new(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = |guard| {
            let (live, most, count) = (live.clone(), Arc::clone(&most), Arc::clone(&count));
            async move {
                let _guard = guard;
                most.fetch_max(live.count(), Ordering::Relaxed);
                if count.fetch_add(1, Ordering::Relaxed) % 3 == 0 {
                    yield_now().await;
                }
                Ok::<_, Cancelled>(())
            }
        };
        let items = || {
            let live = live.clone();
            (0..ITEMS).map(move |_| live.one())
        };
        both_ways!(each = join::for_each(items(), work).limit(8) => {
            count.store(0, Ordering::Relaxed);
            each.await.unwrap();
            assert_eq!((count.load(Ordering::Relaxed), live.count()), (ITEMS, 0));
        });
        let most = most.load(Ordering::Relaxed);
        assert!((1..=8).contains(&most), "{most} captures lived at once");
    });
}

#[test]
fn a_stream_need_not_be_unpin() {
    both_flavours(|| async {
        let not_unpin = futures::stream::unfold(0, async |n| {
            yield_now().await;
            (n < 3).then_some((n, n + 1))
        });
        let values = join::map(join::stream(not_unpin), async |n| Ok::<_, Cancelled>(n * 2)).await.unwrap();
        assert_eq!(values, [0, 2, 4]);
    });
}

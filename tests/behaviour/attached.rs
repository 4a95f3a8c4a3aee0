//! `Attached`: a stream or body that carries its producers.

use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use sc_tokio::{Attached, Cancelled, OwnedScope, Reason, Scope, nursery, scoped};
use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::support::{Live, Log, both_flavours, hooked};

/// A stream over a channel.
struct Rows(mpsc::Receiver<u32>);

impl Stream for Rows {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        self.0.poll_recv(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), None)
    }
}

impl Rows {
    fn into_inner(self) -> mpsc::Receiver<u32> {
        self.0
    }
}

/// A handler that answers with a stream.
#[scoped]
async fn rows(count: u32, live: &Live) -> Result<Attached<Rows>, Cancelled> {
    let producers = OwnedScope::<Cancelled>::new();
    let (sender, receiver) = mpsc::channel(1);
    let guard = live.one();
    producers.spawn(async move {
        let _guard = guard;
        for row in 0..count {
            if sender.send(row).await.is_err() {
                return;
            }
        }
    });
    Ok(producers.attach(Rows(receiver)))
}

#[test]
fn a_scoped_handler_returns_a_stream_at_once_and_the_stream_gives_everything() {
    both_flavours(|| async {
        let live = Live::new();
        let stream = rows(100, &live).await.unwrap();
        assert_eq!(live.count(), 1, "the handler has returned, the producer goes on");
        let all: Vec<u32> = stream.collect().await;
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        while live.count() > 0 {
            yield_now().await;
        }
    });
}

#[test]
fn a_stream_dropped_half_way_ends_its_producer() {
    both_flavours(|| async {
        let live = Live::new();
        let mut stream = rows(u32::MAX, &live).await.unwrap();
        assert_eq!((stream.next().await, stream.next().await), (Some(0), Some(1)));
        assert_eq!(live.count(), 1);
        drop(stream);
        while live.count() > 0 {
            yield_now().await;
        }
    });
}

#[test]
fn a_producer_that_sends_nothing_is_ended_too_and_told_why() {
    both_flavours(|| async {
        let (log, why) = (Log::new(), Log::new());
        let told = why.clone();
        nursery!(async |n| -> Result<(), Cancelled> {
            let producers: OwnedScope<Cancelled> = OwnedScope::builder().under(n).grace(Duration::from_secs(60)).open();
            producers.spawn_with(async move |n: &Scope<Cancelled>| {
                told.add(format!("{:?}", n.cancelled().await.reason()));
            });
            for _ in 0..20 {
                yield_now().await;
            }
            drop(producers.attach(log.on_drop("value")));
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!((log.entries(), why.entries()), (vec!["value".to_owned()], vec!["ScopeDropped".to_owned()]));
    });
}

#[test]
fn producers_are_cancelled_before_the_value_is_dropped() {
    struct Watches(sc_tokio::Canceller, Log);
    impl Drop for Watches {
        fn drop(&mut self) {
            self.1.add(format!("cancelled: {}", self.0.is_cancelled()));
        }
    }
    both_flavours(|| async {
        let (log, producers) = (Log::new(), OwnedScope::<Cancelled>::new());
        let watches = Watches(producers.canceller(), log.clone());
        drop(producers.attach(watches));
        assert_eq!(log.entries(), ["cancelled: true"], "so that they do not take it for a failure");
    });
}

#[test]
fn it_is_its_value_with_every_method_and_through_a_pin() {
    both_flavours(|| async {
        let live = Live::new();
        let mut stream = rows(3, &live).await.unwrap();
        while stream.0.is_empty() {
            yield_now().await;
        }
        assert_eq!(stream.size_hint(), (1, None));
        assert_eq!(stream.0.recv().await, Some(0), "by reference, also a mutable one");
        let receiver = Attached::into_inner(stream).into_inner();
        drop(receiver);
        while live.count() > 0 {
            yield_now().await;
        }
        // One that cannot be moved once it is polled.
        let unmovable = futures::stream::once(async {
            yield_now().await;
            7
        });
        let stream = Box::pin(OwnedScope::<Cancelled>::new().attach(unmovable));
        assert_eq!(stream.collect::<Vec<_>>().await, [7]);
    });
}

#[test]
fn taking_the_value_out_cancels_the_producers_and_keeps_what_was_sent() {
    both_flavours(|| async {
        let live = Live::new();
        let stream = rows(u32::MAX, &live).await.unwrap();
        while stream.0.is_empty() {
            yield_now().await;
        }
        let mut rows = Attached::into_inner(stream);
        while live.count() > 0 {
            yield_now().await;
        }
        assert_eq!(rows.next().await, Some(0));
        assert!(rows.collect::<Vec<_>>().await.len() <= 1, "the channel's end, not the producer's");
    });
}

#[test]
fn a_failing_producer_ends_the_stream_like_the_channel_and_its_failure_goes_to_the_hook() {
    let lost = hooked("the disk is gone", || {
        both_flavours(|| async {
            let producers = OwnedScope::<String>::new();
            let (sender, receiver) = mpsc::channel(8);
            let other = sender.clone();
            producers.spawn(async move {
                let _other = other;
                pending::<()>().await;
            });
            producers.spawn(async move {
                let _ = (sender.send(1).await, sender.send(2).await);
                Err::<(), _>(String::from("the disk is gone"))
            });
            producers.failed().await;
            let mut stream = producers.attach(Rows(receiver));
            assert_eq!(Attached::cancelled(&stream).unwrap().reason(), Reason::ChildFailed);
            let all: Vec<u32> = stream.by_ref().collect().await;
            assert_eq!(all, [1, 2], "what was sent is read, though the scope was cancelled before");
        });
    });
    assert_eq!(lost.len(), 2, "once per flavour (P4): {lost:?}");
}

#[test]
fn a_request_that_is_cancelled_takes_a_stream_of_its_own_scope_along() {
    both_flavours(|| async {
        let live = Live::new();
        let guard = live.one();
        let (sender, answer) = tokio::sync::oneshot::channel();
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            let producers = OwnedScope::<Cancelled>::under(n);
            let (rows, receiver) = mpsc::channel(1);
            producers.spawn(async move {
                let _guard = guard;
                let _ = rows.send(1).await;
                pending::<()>().await;
            });
            let _ = sender.send(producers.attach(Rows(receiver)));
            while live.count() == 0 {
                yield_now().await;
            }
            n.cancel("the client left");
            pending().await
        });
        assert!(result.await.is_err());
        assert_eq!(live.count(), 0, "joined, though the stream lives");
        let mut stream = answer.await.unwrap();
        let rest: Vec<u32> = stream.by_ref().collect().await;
        assert!(rest.len() <= 1 && Attached::cancelled(&stream).unwrap().is_inherited());
    });
}

//! Borrowed children with their handles: what runs in the caller's task, may borrow, and is awaited by a handle.
//!
//! The collections have no handles, so they get ones that can do the same: a value, put by the future and taken by whoever
//! awaits it. All futures are boxed, since a scope's children are of different types. `moro` has boxes and handles of its own. "Woken" children are suspended three
//! times and wake themselves; "woken in random order" are woken by the body, three times each, as a shuffle says.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::StreamExt;
use futures::future::{join, join3, ready};
use futures::stream::{FuturesUnordered, Stream};
use futures_buffered::FuturesUnorderedBounded;
use sc_bench::bell::{self, Bells};
use sc_bench::work::{self, Output, Work};
use sc_tokio::{Cancelled, nursery};

use super::times;
use crate::rounds::{Contest, Contestant, Flavour, Plan};

const OURS: &str = "handles awaited";
const UNORDERED: &str = "FuturesUnordered, boxed, with handles";
const BUFFERED: &str = "futures-buffered, boxed, with handles";

pub(super) fn contests(plan: Plan) -> Vec<Contest> {
    let counts: &[u32] = if plan.full { &[10, 1_000, 100_000] } else { &[1_000] };
    let mut contests = Vec::new();
    for flavour in Flavour::BOTH {
        for &count in counts {
            let numbers = move || 0..u64::from(count);
            contests.push(contest("ready", count, flavour, move || (numbers().map(work::ready), ready(()))));
            contests
                .push(contest("woken three times", count, flavour, move || (numbers().map(work::woken), ready(()))));
            let order = bell::shuffled(count);
            contests.push(contest("woken in random order", count, flavour, move || {
                let bells = Bells::new(count);
                (bells.clone().children(), bells.ring(order))
            }));
        }
    }
    contests
}

/// `make` gives the children, and what the body does meanwhile.
fn contest<I, R>(kind: &str, count: u32, flavour: Flavour, make: impl Fn() -> (I, R) + Send + Copy + 'static) -> Contest
where
    I: Iterator<Item: Work> + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let times = times(count);
    Contest::new("borrow", flavour, times * count)
        .kind(kind)
        .n(count)
        .ours(Contestant::repeated(OURS, times, move || borrowed(make)))
        .peer(Contestant::repeated(UNORDERED, times, move || unordered(make)))
        .peer(Contestant::repeated(BUFFERED, times, move || buffered(count, make)))
        .peer(Contestant::repeated("moro", times, move || scoped(make)))
        .target(OURS, UNORDERED, 0.9)
}

async fn borrowed<I, R>(make: impl FnOnce() -> (I, R))
where
    I: Iterator<Item: Work>,
    R: Future<Output = ()>,
{
    let one = 1;
    let (children, meanwhile) = make();
    let sum = nursery!(async |n| -> Result<u64, Cancelled> {
        let lent = &one;
        let handles: Vec<_> = children.map(|child| n.spawn_borrowed(async move { Ok(child.await? + *lent) })).collect();
        let sum = async {
            let mut sum = 0;
            for handle in handles {
                sum += handle.await;
            }
            sum
        };
        Ok(join(sum, meanwhile).await.0)
    });
    black_box(sum.await.expect("no child fails"));
}

async fn scoped<I, R>(make: impl FnOnce() -> (I, R))
where
    I: Iterator<Item: Work> + Send,
    R: Future<Output = ()> + Send,
{
    let one = 1;
    let (children, meanwhile) = make();
    let lent = &one;
    let sum = moro::async_scope!(|scope| -> u64 {
        let handles: Vec<_> = children.map(|child| scope.spawn(plus(child, lent))).collect();
        let sum = async {
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.expect("no future fails");
            }
            sum
        };
        join(sum, meanwhile).await.0
    });
    black_box(sum.await);
}

type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

async fn unordered<I, R>(make: impl FnOnce() -> (I, R))
where
    I: Iterator<Item: Work>,
    R: Future<Output = ()>,
{
    let one = 1;
    let set: FuturesUnordered<Boxed<'_>> = FuturesUnordered::new();
    let (children, meanwhile) = make();
    let handles = with_handles(children, &one, |future| set.push(future));
    drained(handles, meanwhile, set).await;
}

async fn buffered<I, R>(count: u32, make: impl FnOnce() -> (I, R))
where
    I: Iterator<Item: Work>,
    R: Future<Output = ()>,
{
    let one = 1;
    let mut set: FuturesUnorderedBounded<Boxed<'_>> = FuturesUnorderedBounded::new(count as usize);
    let (children, meanwhile) = make();
    let handles = with_handles(children, &one, |future| set.push(future));
    drained(handles, meanwhile, set).await;
}

fn with_handles<'a>(
    children: impl Iterator<Item: Work>,
    lent: &'a u64,
    mut push: impl FnMut(Boxed<'a>),
) -> Vec<Handle> {
    let handle = |child| {
        let slot = Arc::new(Slot::default());
        let handle = Handle(Arc::clone(&slot));
        push(Box::pin(async move { slot.put(plus(child, lent).await) }));
        handle
    };
    children.map(handle).collect()
}

async fn plus(child: impl Work, lent: &u64) -> Output {
    Ok(child.await? + *lent)
}

async fn drained(handles: Vec<Handle>, meanwhile: impl Future<Output = ()>, mut set: impl Stream + Unpin) {
    let body = async {
        let mut sum = 0;
        for handle in handles {
            sum += handle.await.expect("no future fails");
        }
        sum
    };
    let (sum, ..) = join3(body, meanwhile, async { while set.next().await.is_some() {} }).await;
    black_box(sum);
}

/// Where a future leaves its value for the handle.
#[derive(Default)]
struct Slot(Mutex<(Option<Output>, Option<Waker>)>);

impl Slot {
    fn put(&self, end: Output) {
        let waker = {
            let mut slot = self.0.lock().expect("nothing panics under this lock");
            slot.0 = Some(end);
            slot.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Handle(Arc<Slot>);

impl Future for Handle {
    type Output = Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let mut slot = self.0.0.lock().expect("nothing panics under this lock");
        if let Some(end) = slot.0.take() {
            return Poll::Ready(end);
        }
        slot.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

//! Borrowed children with their handles, against boxed futures in `FuturesUnordered` with handles
//! that can do the same: a value, put by the future and taken by whoever awaits it.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::StreamExt;
use futures::future::join;
use futures::stream::FuturesUnordered;
use sc_bench::work::{self, Output};
use sc_tokio::{Cancelled, nursery};

use crate::rounds::{Contest, Contestant, Flavour, Pair};

const CHILDREN: u32 = 1_000;
const TIMES: u32 = 20;

pub(crate) fn contests() -> Vec<Contest> {
    let mut contests = Vec::new();
    for flavour in Flavour::BOTH {
        contests.push(contest("ready", flavour, work::ready));
        contests.push(contest("woken three times", flavour, work::woken));
    }
    contests
}

fn contest<F>(kind: &str, flavour: Flavour, child: fn(u64) -> F) -> Contest
where
    F: Future<Output = Output> + Send + 'static,
{
    Contest {
        name: format!("borrow {CHILDREN}, {kind}"),
        flavour,
        contestants: vec![
            Contestant::repeated("handles awaited", TIMES, move || borrowed(child)),
            Contestant::repeated("FuturesUnordered, boxed, with handles", TIMES, move || unordered(child)),
        ],
        pairs: vec![Pair { ours: 0, peer: 1, target: Some(0.9) }],
        operations: TIMES * CHILDREN,
    }
}

async fn borrowed<F>(child: fn(u64) -> F)
where
    F: Future<Output = Output> + Send + 'static,
{
    let one = 1;
    let sum = nursery!(async |n| -> Result<u64, Cancelled> {
        let lent = &one;
        let children: Vec<_> = (0..u64::from(CHILDREN))
            .map(|number| n.spawn_borrowed(async move { Ok(child(number).await? + *lent) }))
            .collect();
        let mut sum = 0;
        for child in children {
            sum += child.await;
        }
        Ok(sum)
    });
    black_box(sum.await.expect("no child fails"));
}

async fn unordered<F>(child: fn(u64) -> F)
where
    F: Future<Output = Output> + Send + 'static,
{
    let one = 1;
    let lent = &one;
    let mut set: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = FuturesUnordered::new();
    let mut handles = Vec::with_capacity(CHILDREN as usize);
    for number in 0..u64::from(CHILDREN) {
        let slot = Arc::new(Slot::default());
        handles.push(Handle(Arc::clone(&slot)));
        set.push(Box::pin(async move {
            let end = child(number).await.map(|value| value + *lent);
            slot.put(end);
        }));
    }
    let body = async {
        let mut sum = 0;
        for handle in handles {
            sum += handle.await.expect("no future fails");
        }
        sum
    };
    let (sum, ()) = join(body, async { while set.next().await.is_some() {} }).await;
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

//! With the crates that others have made for it: each as its documentation says, nothing written around it but what gives
//! the sum of the children's numbers.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_executors::{TokioCt, TokioTp};
use async_nursery::{NurseExt, Nursery, NurseryStream};
use async_scoped::TokioScope;
use futures::StreamExt;
use futures::future::join;
use futures_buffered::FuturesUnorderedBounded;
use futures_concurrency::future::Join;
use task_group::TaskGroup;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_graceful_shutdown::{SubsystemBuilder, SubsystemHandle, Toplevel};

use crate::work::{Output, Work};

pub(super) async fn buffered<F: Work>(count: u32, child: fn(u64) -> F) {
    let mut set = FuturesUnorderedBounded::new(count as usize);
    for number in 0..u64::from(count) {
        set.push(child(number));
    }
    let mut sum = 0;
    while let Some(end) = set.next().await {
        sum += end.expect("no future fails");
    }
    black_box(sum);
}

pub(super) async fn concurrency<F: Work>(count: u32, child: fn(u64) -> F) {
    let futures: Vec<F> = (0..u64::from(count)).map(child).collect();
    let ends = futures.join().await;
    black_box(ends.into_iter().map(|end| end.expect("no future fails")).sum::<u64>());
}

pub(super) async fn moro<F: Work>(count: u32, child: fn(u64) -> F) {
    let sum = moro::async_scope!(|scope| -> u64 {
        let children: Vec<_> = (0..u64::from(count)).map(|number| scope.spawn(child(number))).collect();
        let mut sum = 0;
        for child in children {
            sum += child.await.expect("no future fails");
        }
        sum
    });
    black_box(sum.await);
}

pub(super) async fn nursery<F: Work>(count: u32, child: fn(u64) -> F) {
    let mut numbers = 0..u64::from(count);
    let mut ends = nursery_of(count, || child(numbers.next().expect("one for each")));
    let mut sum = 0;
    while let Some(end) = ends.next().await {
        sum += end.expect("no task fails");
    }
    black_box(sum);
}

/// Of `async_nursery`: a nursery with these children and no others.
///
/// # Panics
///
/// Outside a runtime.
pub fn nursery_of<F: Work>(count: u32, child: impl FnMut() -> F) -> NurseryStream<Output> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        let (nursery, ends) = Nursery::new(TokioCt::try_current().expect("this is one"));
        nurse(&nursery, count, child);
        ends
    } else {
        let (nursery, ends) = Nursery::new(TokioTp::try_current().expect("this is one"));
        nurse(&nursery, count, child);
        ends
    }
}

fn nurse<F: Work>(nursery: &impl NurseExt<Output>, count: u32, mut child: impl FnMut() -> F) {
    for _ in 0..count {
        nursery.nurse(child()).expect("it is open");
    }
}

#[allow(clippy::unused_async, reason = "the others wait; this one blocks")]
pub(super) async fn scoped<F: Work>(count: u32, child: fn(u64) -> F) {
    let ((), ends) = TokioScope::scope_and_block(|scope| {
        for number in 0..u64::from(count) {
            scope.spawn(child(number));
        }
    });
    let sum = ends.into_iter().map(|end| end.expect("no task panics").expect("no task fails")).sum::<u64>();
    black_box(sum);
}

pub(super) async fn group<F: Work>(count: u32, child: fn(u64) -> F) {
    let sum = Arc::new(AtomicU64::new(0));
    let (group, manager) = TaskGroup::<sc_tokio::Cancelled>::new();
    let total = Arc::clone(&sum);
    let spawning = async move {
        for number in 0..u64::from(count) {
            let (child, sum) = (child(number), Arc::clone(&total));
            let counted = async move {
                sum.fetch_add(child.await?, Ordering::Relaxed);
                Ok(())
            };
            group.spawn("child", counted).await.expect("its manager lives");
        }
    };
    let (end, ()) = join(manager, spawning).await;
    end.expect("no task fails");
    black_box(sum.load(Ordering::Relaxed));
}

pub(super) async fn subsystems<F: Work>(count: u32, child: fn(u64) -> F) {
    let sum = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&sum);
    let top: Toplevel = Toplevel::new(async move |top: &mut SubsystemHandle| {
        for number in 0..u64::from(count) {
            let (child, sum) = (child(number), Arc::clone(&total));
            top.start(SubsystemBuilder::new(
                "child",
                async move |_own: &mut SubsystemHandle| -> Result<(), sc_tokio::Cancelled> {
                    sum.fetch_add(child.await?, Ordering::Relaxed);
                    Ok(())
                },
            ));
        }
    });
    top.handle_shutdown_requests(Duration::from_secs(10)).await.expect("no subsystem fails");
    black_box(sum.load(Ordering::Relaxed));
}

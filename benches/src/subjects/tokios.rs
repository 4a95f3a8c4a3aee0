//! With this workspace, and with what Tokio and `futures` have.

use std::hint::black_box;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use sc_tokio::{Cancelled, nursery};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::work::Work;

pub(super) async fn awaited<F: Work>(count: u32, child: fn(u64) -> F) {
    let sum = nursery!(async |n| -> Result<u64, Cancelled> {
        let children: Vec<_> = (0..u64::from(count)).map(|number| n.spawn(child(number))).collect();
        let mut sum = 0;
        for child in children {
            sum += child.await;
        }
        Ok(sum)
    });
    black_box(sum.await.expect("no child fails"));
}

pub(super) async fn dropped<F: Work>(count: u32, child: fn(u64) -> F) {
    let end = nursery!(async |n| -> Result<(), Cancelled> {
        for number in 0..u64::from(count) {
            drop(n.spawn(child(number)));
        }
        Ok(())
    });
    end.await.expect("no child fails");
}

pub(super) async fn bare_tasks<F: Work>(count: u32, child: fn(u64) -> F) {
    let tasks: Vec<_> = (0..u64::from(count)).map(|number| tokio::spawn(child(number))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("no task panics").expect("no task fails");
    }
    black_box(sum);
}

pub(super) async fn join_set<F: Work>(count: u32, child: fn(u64) -> F) {
    let mut set = JoinSet::new();
    for number in 0..u64::from(count) {
        set.spawn(child(number));
    }
    let mut sum = 0;
    while let Some(end) = set.join_next().await {
        sum += end.expect("no task panics").expect("no task fails");
    }
    black_box(sum);
}

pub(super) async fn tracker<F: Work>(count: u32, child: fn(u64) -> F) {
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    let spawn = |number| tracker.spawn(token.clone().run_until_cancelled_owned(child(number)));
    let tasks: Vec<_> = (0..u64::from(count)).map(spawn).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("no task panics").expect("nobody cancels").expect("no task fails");
    }
    tracker.close();
    tracker.wait().await;
    black_box(sum);
}

pub(super) async fn unordered<F: Work>(count: u32, child: fn(u64) -> F) {
    let mut set: FuturesUnordered<F> = (0..u64::from(count)).map(child).collect();
    let mut sum = 0;
    while let Some(end) = set.next().await {
        sum += end.expect("no future fails");
    }
    black_box(sum);
}

pub(super) async fn ambient<F: Work>(count: u32, child: fn(u64) -> F) {
    let end = nursery!(async |_n| -> Result<(), Cancelled> {
        let tasks: Vec<_> = (0..u64::from(count)).map(|number| sc_tokio::spawn(child(number))).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("no task panics").expect("no task fails");
        }
        black_box(sum);
        Ok(())
    });
    end.await.expect("no child fails");
}

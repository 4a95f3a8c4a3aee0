//! Programs to be dropped, forgotten or broken at any point. They use every kind of child, end by
//! themselves if they are left alone, and count what they leave behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use sc_tokio::{Cancelled, Scope, ScopeEnd, Supervise, nursery};
use tokio::task::yield_now;

use crate::support::{Guard, Live};

/// What a program counts.
#[derive(Clone, Default)]
pub(crate) struct World {
    /// Values in child tasks.
    pub(crate) tasks: Live,
    /// Values in the futures of scopes, and outputs that wait in there.
    pub(crate) futures: Live,
    pub(crate) registered: Arc<AtomicUsize>,
    pub(crate) ran: Arc<AtomicUsize>,
}

impl World {
    pub(crate) fn task(&self) -> Guard {
        self.tasks.guard()
    }

    pub(crate) fn body(&self) -> Guard {
        self.futures.guard()
    }

    /// Finalizers that were registered, and resources that were made, and have not run or been released to the end.
    pub(crate) fn unrun(&self) -> usize {
        self.registered.load(Ordering::SeqCst) - self.ran.load(Ordering::SeqCst)
    }

    /// A child that takes a few polls.
    pub(crate) fn worker(&self, yields: usize) -> impl Future<Output = ()> + Send + use<> {
        let guard = self.task();
        async move {
            let _guard = guard;
            steps(yields).await;
        }
    }

    pub(crate) fn defer<E: std::fmt::Debug + Send + 'static>(&self, n: &Scope<E>) {
        self.registered.fetch_add(1, Ordering::SeqCst);
        let (world, guard) = (self.clone(), self.task());
        n.defer(async move |_: ScopeEnd| {
            let _guard = guard;
            yield_now().await;
            let inner: Result<(), Cancelled> = nursery!(async |n| {
                let _ = n.spawn(world.worker(2));
                Ok(())
            })
            .await;
            assert!(inner.is_ok());
            world.ran.fetch_add(1, Ordering::SeqCst);
        });
    }
}

pub(crate) async fn steps(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

pub(crate) type Program = fn(World) -> BoxFuture<'static, ()>;

/// All of them, by name.
pub(crate) const PROGRAMS: &[(&str, Program)] = &[
    ("children", |w| Box::pin(children(w))),
    ("nested", |w| Box::pin(nested(w))),
    ("borrowed", |w| Box::pin(borrowed(w))),
    ("blocking", |w| Box::pin(blocking(w))),
    ("daemons", |w| Box::pin(daemons(w))),
    ("finalizers", |w| Box::pin(finalizers(w))),
    ("spawn_with", |w| Box::pin(spawn_with(w))),
    ("select", |w| Box::pin(select(w))),
    ("join", |w| Box::pin(join(w))),
    ("grace", |w| Box::pin(grace(w))),
    ("failing", |w| Box::pin(failing(w))),
    ("supervised", |w| Box::pin(supervised(w))),
];

/// Children whose outputs are taken, left, and never awaited.
async fn children(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let _body = w.body();
        let _ = n.spawn(w.worker(0));
        let _ = n.spawn(w.worker(6));
        let (output, guard) = (w.body(), w.task());
        let taken = n.spawn(async move {
            let _guard = guard;
            steps(2).await;
            Ok(output)
        });
        let left = w.task();
        let _ = n.spawn(async move {
            steps(4).await;
            Ok(left)
        });
        drop(taken.await);
        yield_now().await;
        Ok(())
    })
    .await;
}

/// Scopes in the body, in a child, and in a child of that.
async fn nested(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let _body = w.body();
        w.defer(n);
        let (deep, guard) = (w.clone(), w.task());
        let _ = n.spawn(async move {
            let _guard = guard;
            nursery!(async |n| {
                deep.defer(n);
                let _ = n.spawn(deep.worker(5));
                yield_now().await;
                Ok::<_, Cancelled>(())
            })
            .await
        });
        nursery!(async |n| {
            let _body = w.body();
            w.defer(n);
            let _ = n.spawn(w.worker(3));
            nursery!(async |n| {
                let _ = n.spawn(w.worker(1));
                yield_now().await;
                Ok::<_, Cancelled>(())
            })
            .await
        })
        .await
    })
    .await;
}

async fn borrowed(w: World) {
    let data = w.body();
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let a = n.spawn_borrowed(async {
            let _data = &data;
            let _body = w.body();
            nursery!(async |n| {
                w.defer(n);
                let _ = n.spawn(w.worker(4));
                yield_now().await;
                Ok::<_, Cancelled>(())
            })
            .await?;
            Ok(w.body())
        });
        let _ = n.spawn_borrowed(async {
            let _body = w.body();
            steps(3).await;
        });
        let _ = n.spawn(w.worker(2));
        drop(a.await);
        Ok(())
    })
    .await;
}

async fn blocking(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        w.defer(n);
        let done = Arc::new(AtomicBool::new(false));
        let (seen, guard) = (Arc::clone(&done), w.task());
        let loops = n.spawn_blocking(move |cx| {
            let _guard = guard;
            while !seen.load(Ordering::SeqCst) {
                cx.check()?;
                std::thread::yield_now();
            }
            Ok::<_, Cancelled>(())
        });
        let (guard, output) = (w.task(), w.body());
        let quick = n.spawn_blocking(move |_| {
            drop(guard);
            Ok(output)
        });
        drop(quick.await);
        steps(3).await;
        done.store(true, Ordering::SeqCst);
        loops.await;
        Ok(())
    })
    .await;
}

async fn daemons(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        w.defer(n);
        for _ in 0..2 {
            let world = w.clone();
            let guard = w.task();
            let _ = n.task().daemon().spawn(async move {
                let _guard = guard;
                nursery!(async move |n| -> Result<(), Cancelled> {
                    world.defer(n);
                    loop {
                        n.spawn(world.worker(2)).await;
                    }
                })
                .await
            });
        }
        let _ = n.spawn(w.worker(4));
        steps(5).await;
        Ok(())
    })
    .await;
}

async fn finalizers(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let _body = w.body();
        for _ in 0..3 {
            w.defer(n);
        }
        let _ = n.spawn(w.worker(1));
        yield_now().await;
        Ok(())
    })
    .await;
}

async fn spawn_with(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let world = w.clone();
        let tree = n.spawn_with(async move |n: &Scope<Cancelled>| {
            let _guard = world.task();
            let a = n.spawn(world.worker(2));
            let deeper = world.clone();
            let _ = n.spawn_with(async move |n: &Scope<Cancelled>| {
                deeper.defer(n);
                n.spawn(deeper.worker(3)).await;
            });
            a.await;
        });
        tree.await;
        Ok(())
    })
    .await;
}

/// One of two scopes is dropped by the other's end.
async fn select(w: World) {
    let one = nursery!(async |n| -> Result<(), Cancelled> {
        w.defer(n);
        let _ = n.spawn(w.worker(3));
        Ok(())
    });
    let other = nursery!(async |n| -> Result<(), Cancelled> {
        w.defer(n);
        let _body = w.body();
        let _ = n.spawn(w.worker(9));
        std::future::pending().await
    });
    tokio::select! {
        _ = one.into_future() => {}
        _ = other.into_future() => {}
    }
}

async fn join(w: World) {
    let scope = |yields| {
        let w = w.clone();
        nursery!(async move |n| -> Result<(), Cancelled> {
            w.defer(n);
            let _body = w.body();
            let _ = n.spawn(w.worker(yields));
            steps(2).await;
            Ok(())
        })
        .into_future()
    };
    let _ = futures::join!(scope(1), scope(4), scope(7));
}

/// Cancelled in the middle, with children that tidy up.
async fn grace(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        w.defer(n);
        let _body = w.body();
        let world = w.clone();
        let _ = n.spawn_with(async move |n: &Scope<Cancelled>| {
            let _guard = world.task();
            n.cancelled().await;
            steps(2).await;
        });
        let stubborn = w.task();
        let _ = n.spawn(async move {
            let _stubborn = stubborn;
            std::future::pending::<()>().await;
        });
        steps(2).await;
        n.cancel("half-way");
        steps(2).await;
        Ok(())
    })
    .grace(Duration::from_millis(1))
    .await;
}

async fn failing(w: World) {
    let _: anyhow::Result<()> = nursery!(async |n| {
        w.defer(n);
        let guard = w.task();
        let bad = n.spawn(async move {
            let _guard = guard;
            steps(2).await;
            Err::<(), _>(anyhow::anyhow!("expected"))
        });
        let _ = n.spawn(w.worker(50));
        let _body = w.body();
        bad.await;
        Ok(())
    })
    .await;
}

async fn supervised(w: World) {
    let _: anyhow::Result<()> = nursery!(<Supervise> async |n| {
        let bad = n.spawn(async { Err::<(), _>(anyhow::anyhow!("expected")) });
        let stopped = n.spawn(w.worker(50));
        assert!(bad.join().await.is_err());
        stopped.cancel().await;
        n.cancel_children("none are left");
        let _ = n.spawn(w.worker(3));
        Ok(())
    })
    .await;
}

//! More programs to be dropped, forgotten or broken at any point: shields, resources, starts, graces and time-outs of
//! children, scopes that belong to values, values of scopes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sc_tokio::{Cancelled, Nursery, OwnedScope, Ready, Scope, ScopeEnd, Supervise, nursery, scope_local, shield};
use tokio::task::yield_now;

use crate::programs::{Program, World, steps};
use crate::support::Guard;

const SHORT: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// All of them, by name.
pub(crate) const FEATURES: &[(&str, Program)] = &[
    ("shields", |w| Box::pin(shields(w))),
    ("shields in layers", |w| Box::pin(layers(w))),
    ("shields side by side", |w| Box::pin(side_by_side(w))),
    ("shielded children", |w| Box::pin(shielded(w))),
    ("shields of daemons", |w| Box::pin(daemons(w))),
    ("resources", |w| Box::pin(resources(w))),
    ("resources in shields", |w| Box::pin(shielded_resources(w))),
    ("starts", |w| Box::pin(starts(w))),
    ("starts that fail", |w| Box::pin(bad_starts(w))),
    ("own times", |w| Box::pin(own_times(w))),
    ("owned", |w| Box::pin(owned(w))),
    ("attached", |w| Box::pin(attached(w))),
    ("values", |w| Box::pin(values(w))),
];

impl World {
    /// As a worker, in the future of a scope.
    async fn here(&self, yields: usize) {
        let _guard = self.body();
        steps(yields).await;
    }

    /// Is made, and has to be released.
    async fn make(self) -> Result<Guard, Cancelled> {
        let _guard = self.task();
        steps(2).await;
        self.registered.fetch_add(1, Ordering::SeqCst);
        Ok(self.body())
    }

    /// Makes a resource of the scope.
    async fn resource(&self, n: &Scope<Cancelled>) -> Result<std::sync::Arc<Guard>, Cancelled> {
        let world = self.clone();
        let lease = n.resource(self.clone().make(), async move |guard, _: ScopeEnd| {
            yield_now().await;
            // A future that was forgotten may have a share.
            drop(guard);
            world.ran.fetch_add(1, Ordering::SeqCst);
        });
        Ok(lease.await?.share())
    }
}

/// In the body, in a child and in a borrowed child, of a scope that is cancelled.
async fn shields(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        w.defer(n);
        let (inside, guard) = (w.clone(), w.task());
        let _ = n.spawn(async move {
            let _guard = guard;
            shield(SECOND, inside.worker(6)).await?;
            std::future::pending::<Result<(), Cancelled>>().await
        });
        let _ = n.spawn_borrowed(async {
            let _body = w.body();
            shield(SECOND, async {
                sc_tokio::spawn(w.worker(3));
                steps(4).await;
            })
            .await
        });
        yield_now().await;
        n.cancel("half-way");
        let _body = w.body();
        shield(SECOND, w.here(4)).await?;
        shield(SHORT, std::future::pending::<()>()).await
    })
    .await;
}

/// One in the other, in a nested scope of a child, which is stopped alone.
async fn layers(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let world = w.clone();
        let child = n.spawn(async move {
            nursery!(async |n| -> Result<(), Cancelled> {
                world.defer(n);
                let inner = n.spawn_borrowed(async {
                    let _guard = world.task();
                    shield(SECOND, async {
                        let _: Result<(), Cancelled> = shield(SHORT, world.worker(5)).await;
                        sc_tokio::spawn_shielded(SECOND, world.worker(3));
                        steps(2).await;
                    })
                    .await
                });
                inner.await;
                std::future::pending().await
            })
            .await
        });
        steps(3).await;
        let _body = w.body();
        child.cancel().await;
        w.here(2).await;
        Ok(())
    })
    .await;
}

/// Two in one frame, of different length, and one that loses a race.
async fn side_by_side(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n: &Nursery<'_, Cancelled>| {
        let world = w.clone();
        let _ = n.spawn(async move {
            let _guard = world.task();
            let _ = tokio::join!(
                shield(SHORT, std::future::pending::<()>()),
                shield(SECOND, world.worker(3)),
                shield(Duration::ZERO, world.worker(9)),
            );
            tokio::select! {
                biased;
                _ = shield(SECOND, world.worker(1)) => {}
                _ = shield(SECOND, world.worker(9)) => {}
            }
            std::future::pending::<Result<(), Cancelled>>().await
        });
        let _body = w.body();
        steps(2).await;
        n.cancel_children("half-way");
        shield(SECOND, w.here(2)).await
    })
    .grace(SHORT)
    .await;
}

/// As wholes: of the scope, ambient, borrowed, with a time-out of their own.
async fn shielded(w: World) {
    let _: Result<(), Cancelled> = nursery!(<Supervise> async |n: &Nursery<'_, Cancelled>| {
        let task = || n.task().shielded(SECOND);
        let _ = task().spawn(w.worker(6));
        let _ = task().timeout(SHORT).spawn(w.worker(1));
        let guard = w.task();
        let _ = n.task().shielded(SHORT).timeout(SECOND).spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        let _ = task().grace(SHORT).spawn_borrowed(async {
            let _body = w.body();
            steps(3).await;
            Ok(())
        });
        sc_tokio::spawn_shielded(SECOND, w.worker(4));
        let guard = w.task();
        sc_tokio::spawn_shielded(SHORT, async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        let stopped = task().spawn(w.worker(3));
        steps(2).await;
        stopped.cancel().await;
        n.cancel("half-way");
        Ok(())
    })
    .await;
}

/// Stopped at the end, in their turn, with graces.
async fn daemons(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n: &Nursery<'_, Cancelled>| {
        w.defer(n);
        for grace in [Duration::ZERO, SHORT, Duration::MAX] {
            let world = w.clone();
            let _ = n.task().daemon().grace(grace).spawn(async move {
                nursery!(async |n| -> Result<(), Cancelled> {
                    let _ = n.spawn_borrowed(async {
                        let _guard = world.task();
                        shield(SECOND, world.worker(4)).await?;
                        sc_tokio::cancelled().await;
                        shield(SHORT, world.worker(2)).await
                    });
                    let _ = n.spawn(world.worker(1));
                    Ok(())
                })
                .await
            });
        }
        w.here(3).await;
        Ok(())
    })
    .await;
}

/// Two, and finalizers between them; what makes the third is given up.
async fn resources(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let _body = w.body();
        let first = w.resource(n).await?;
        w.defer(n);
        let second = w.resource(n).await?;
        let guard = w.task();
        let _ = n.spawn(async move {
            let _used = (first, second, guard);
            steps(3).await;
        });
        tokio::select! {
            biased;
            third = w.resource(n) => drop(third?),
            () = steps(1) => {}
        }
        n.cancel("half-way");
        drop(w.resource(n).await?);
        Ok(())
    })
    .await;
}

/// In a shield, by a child that is being started, and in a scope that is a value.
async fn shielded_resources(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let shielded = shield(SECOND, w.resource(n)).await??;
        let world = w.clone();
        let started = n.start_with(async move |n: &Scope<Cancelled>, ready: Ready<()>| {
            let share = world.resource(n).await?;
            ready.signal(());
            steps(2).await;
            drop(share);
            Ok(())
        });
        let owned = OwnedScope::under(n);
        let other = w.resource(&owned).await?;
        let _ = started.await;
        drop((shielded, other));
        steps(1).await;
        Ok(())
    })
    .await;
}

/// That get ready, that are given up, that go on.
async fn starts(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let _body = w.body();
        let service = |yields: usize| {
            let (world, value) = (w.clone(), w.body());
            async move |ready: Ready<Guard>| {
                world.worker(yields).await;
                ready.signal(value);
                world.worker(4).await;
                Ok::<_, Cancelled>(world.body())
            }
        };
        let ready = n.start(service(2)).await;
        let given_up = n.start(service(3));
        let _ = n.task().shielded(SECOND).timeout(SECOND).start(service(1)).await;
        drop(given_up);
        tokio::select! {
            biased;
            started = n.task().grace(SHORT).start(service(9)) => drop(started),
            () = steps(2) => {}
        }
        drop(ready);
        steps(1).await;
        Ok(())
    })
    .await;
}

/// That fail, miss their deadline or end without a signal.
async fn bad_starts(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let silent = w.clone();
        let silent = n.start(async move |ready: Ready<Guard>| {
            drop(ready);
            silent.worker(2).await;
            Ok(silent.body())
        });
        let (guard, late) = (w.task(), w.clone());
        let late = n.task().timeout(SHORT).start(async move |ready: Ready<Guard>| {
            let _guard = guard;
            shield(SECOND, late.worker(3)).await?;
            std::future::pending::<()>().await;
            ready.signal(late.task());
            Ok(())
        });
        let world = w.clone();
        let panics = n.start_with(async move |n: &Scope<Cancelled>, ready: Ready<Guard>| {
            let _helper = n.spawn(world.worker(3));
            let gone = n.task().isolated().spawn(async move {
                let _ready = ready;
                let _guard = world.task();
                sc_tokio::timeout(Duration::ZERO, std::future::pending::<()>()).await
            });
            gone.await;
            Ok(())
        });
        assert!(silent.await.is_err());
        assert!(late.await.is_err());
        n.cancel_children("half-way");
        drop(panics);
        w.here(1).await;
        Ok(())
    })
    .await;
}

/// Graces and time-outs, of zero, short and endless.
async fn own_times(w: World) {
    let _: Result<(), Cancelled> = nursery!(<Supervise> async |n: &Nursery<'_, Cancelled>| {
        w.defer(n);
        for time in [Duration::ZERO, SHORT, Duration::MAX] {
            let world = w.clone();
            let _ = n.task().grace(time).spawn_with(async move |n: &Scope<Cancelled>| {
                let _guard = world.task();
                n.cancelled().await;
                world.worker(2).await;
                n.spawn(world.worker(2)).await;
            });
            let world = w.clone();
            let _ = n.task().timeout(time).grace(SHORT).spawn(async move {
                nursery!(async |n| -> Result<(), Cancelled> {
                    let _ = n.spawn(world.worker(3));
                    world.defer(n);
                    steps(2).await;
                    Ok(())
                })
                .await
            });
            let _ = n.task().timeout(time).spawn_borrowed(async {
                let _body = w.body();
                w.here(2).await;
            });
        }
        steps(4).await;
        n.cancel("half-way");
        steps(2).await;
        Ok(())
    })
    .grace(SHORT)
    .await;
}

/// Under the scope: dropped, shut down, given up, held by a child of its own.
async fn owned(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let open = || {
            let owned = OwnedScope::<Cancelled>::builder().under(n).grace(SHORT).open();
            w.defer(&owned);
            let _ = owned.spawn(w.worker(3));
            let world = w.clone();
            let _ = owned.spawn(async move { shield(SECOND, world.worker(4)).await });
            owned
        };
        let (dropped, shut, given_up, own) = (open(), open(), open(), open());
        let mut shutdown = Box::pin(given_up.shutdown(SECOND));
        let _ = futures::poll!(shutdown.as_mut());
        let _body = w.body();
        steps(2).await;
        drop((dropped, shutdown));
        let own = std::sync::Arc::new(own);
        let inside = std::sync::Arc::clone(&own);
        let guard = w.task();
        let _ = own.spawn(async move {
            let _guard = guard;
            steps(3).await;
            drop(inside);
        });
        drop(own);
        let _ = shut.shutdown(SHORT).await;
        steps(2).await;
        Ok(())
    })
    .await;
}

/// A stream with its producers.
async fn attached(w: World) {
    let _: Result<(), Cancelled> = nursery!(async |n| {
        let producers = OwnedScope::<Cancelled>::under(n);
        w.defer(&producers);
        let (sender, receiver) = tokio::sync::mpsc::channel::<Guard>(1);
        let world = w.clone();
        let _ = producers.spawn(async move {
            loop {
                let item = world.body();
                shield(SHORT, world.worker(1)).await?;
                if sender.send(item).await.is_err() {
                    return Ok(());
                }
            }
        });
        let mut stream = producers.attach(receiver);
        for _ in 0..3 {
            drop(stream.recv().await);
        }
        let _body = w.body();
        drop(stream);
        steps(1).await;
        Ok(())
    })
    .await;
}

scope_local! { static VALUE: Guard; static OTHER: Guard }

/// Bound around scopes, children, shields and finalizers.
async fn values(w: World) {
    let ended = VALUE.scope(w.body(), async {
        let _: Result<(), Cancelled> = nursery!(async |n| {
            w.defer(n);
            let world = w.clone();
            let _ = n.spawn(OTHER.scope(w.task(), async move {
                shield(SECOND, world.worker(2)).await?;
                sc_tokio::spawn(world.worker(2));
                assert!(VALUE.try_with(|_| ()).is_ok() && OTHER.try_with(|_| ()).is_ok());
                Ok(())
            }));
            let _ = n.spawn_borrowed(VALUE.scope(w.body(), steps(3)));
            drop(w.resource(n).await?);
            Ok(())
        })
        .await;
    });
    ended.await;
}

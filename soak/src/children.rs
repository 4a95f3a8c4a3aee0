//! Every way to start something in a scope.

use std::time::Duration;

use sc_tokio::{Child, Lease, Nursery, OwnedScope, Ready, Scope, join};
use tokio::task::yield_now;

use crate::leaf::{At, Stop, blocking, leaf, panic};
use crate::tally::{Population, TALLY};
use crate::tree::scope;

type Kept<'n> = Vec<Child<'n, u64, Stop>>;

/// Children that are started with one call.
pub(crate) fn ordinary<'n, 'env>(
    n: &'n Nursery<'env, Stop>,
    at: &mut At,
    outside: &Population,
    lent: &'env [u8; 64],
    kept: &mut Kept<'n>,
) {
    let child = match at.random.below(16) {
        0..3 => n.spawn(leaf(at.split())),
        3..6 if at.depth > 0 => n.spawn(scope(at.below(), outside.clone())),
        6 | 7 => n.spawn_with(siblings(at.split())),
        8 | 9 => {
            let leaf = leaf(at.split());
            n.spawn_borrowed(async move { Ok(leaf.await? + u64::from(lent[3])) })
        }
        10 if !at.prompt => n.spawn_blocking(blocking(at.split())),
        11 => n.task().name("beside").daemon().spawn(leaf(at.split())),
        12 => n.task().isolated().spawn(leaf(at.split())),
        13 => n.task().timeout(at.random.micros(2_000)).spawn(leaf(at.split())),
        14 if !at.prompt => n.task().grace(at.random.micros(2_000)).spawn(leaf(at.split())),
        15 if !at.prompt => n.task().shielded(at.random.micros(2_000)).spawn(leaf(at.split())),
        _ => n.task().name("plain").spawn(leaf(at.split())),
    };
    if at.random.once_in(3) { drop(child) } else { kept.push(child) }
}

/// A child that spawns siblings, also into a scope that is about to end.
fn siblings(mut at: At) -> impl for<'a> sc_tokio::ScopeFn<&'a Scope<Stop>, Result<u64, Stop>> + Send + 'static {
    let alive = at.population.one();
    async move |n: &Scope<Stop>| {
        let _alive = alive;
        for _ in 0..at.random.below(4) {
            drop(n.spawn(leaf(at.split())));
            yield_now().await;
        }
        Ok(at.random.below(1_000))
    }
}

/// What has more than one step.
pub(crate) async fn special<'n>(
    n: &'n Nursery<'_, Stop>,
    at: &mut At,
    outside: &Population,
    kept: &mut Kept<'n>,
) -> Result<(), Stop> {
    match at.random.below(10) {
        0 => started(n, at, kept).await,
        1 if !at.prompt => return resource(n, at).await,
        2 => owned(n, at, outside).await,
        3 => set(n, at).await,
        4 => return joined(at).await,
        5 => ambient(at, outside).await,
        6 => kept.push(n.reserve().await?.spawn(leaf(at.split()))),
        7 if at.depth > 0 => {
            // Left by Tokio's time-out, half-way: the scope around it waits for what is left.
            let _ = tokio::time::timeout(at.random.micros(1_000), scope(at.below(), outside.clone())).await;
        }
        8 if at.depth > 0 => {
            let _ = sc_tokio::timeout(at.random.micros(2_000), scope(at.below(), outside.clone())).await?;
        }
        _ => finalizer(n, at),
    }
    Ok(())
}

fn finalizer(n: &Scope<Stop>, at: &mut At) {
    if at.prompt {
        return;
    }
    let (alive, fails) = (at.population.one(), at.random.below(16));
    n.defer(async move |_end| {
        let _alive = alive;
        yield_now().await;
        match fails {
            0 => Err(Stop::Failed),
            1 => panic(),
            _ => Ok(()),
        }
    });
}

async fn started<'n>(n: &'n Scope<Stop>, at: &mut At, kept: &mut Kept<'n>) {
    let (leaf, signals) = (leaf(at.split()), !at.random.once_in(4));
    let start = n.start(async move |ready: Ready<u8>| {
        yield_now().await;
        if signals {
            ready.signal(1);
        }
        leaf.await
    });
    if at.random.once_in(4) {
        let _ = tokio::time::timeout(at.random.micros(200), start).await;
        return;
    }
    if let Ok((_, child)) = start.await {
        kept.push(child);
    }
}

async fn resource(n: &Scope<Stop>, at: &mut At) -> Result<(), Stop> {
    let (alive, slow) = (at.population.one(), at.random.once_in(2));
    let acquire = async move {
        if slow {
            yield_now().await;
        }
        Ok(alive)
    };
    let lease: Lease<'_, _> = n.resource(acquire, async |_resource, _end| yield_now().await).await?;
    let (share, leaf) = (lease.share(), leaf(at.split()));
    drop(n.spawn(async move {
        let end = leaf.await;
        drop(share);
        end
    }));
    Ok(())
}

async fn owned(n: &Scope<Stop>, at: &mut At, outside: &Population) {
    // Below the root it belongs to no tree.
    let below_root = at.random.once_in(3);
    let owned: OwnedScope<Stop> = if below_root { OwnedScope::new() } else { OwnedScope::under(n) };
    for _ in 0..at.random.below(4) {
        let at = if below_root { at.outside(outside) } else { at.split() };
        drop(owned.spawn(leaf(at)));
    }
    match at.random.below(4) {
        0 => drop(owned),
        1 => drop(owned.attach(at.random.next())),
        // A scope that is shut down at once has no time for a cancellation that its children listen to.
        2 if at.prompt => TALLY.outcome(&owned.shutdown(Duration::ZERO).await, false),
        _ => TALLY.outcome(&owned.shutdown(at.random.micros(2_000)).await, false),
    }
}

async fn set(n: &Scope<Stop>, at: &mut At) {
    let set = n.join_set::<u64>();
    let mut set = if at.random.once_in(2) { set.isolated() } else { set };
    // Under a limit, results that nobody takes hold the seats.
    let size = if n.limit().is_some() { 2 } else { 6 };
    for _ in 0..at.random.below(size) {
        set.spawn(leaf(at.split()));
    }
    match at.random.below(4) {
        0 => drop(set),
        1 => set.shutdown().await,
        2 => drop(set.join_all().await),
        _ => while set.join_next().await.is_some() {},
    }
}

async fn joined(at: &mut At) -> Result<(), Stop> {
    let leaves: Vec<_> = (0..at.random.below(5)).map(|_| leaf(at.split())).collect();
    let patience = at.random.micros(2_000);
    match at.random.below(5) {
        0 => drop(join::all(leaves).parallel().timeout(patience).await?),
        1 => drop(join::settle(leaves).timeout(patience).await),
        2 => drop(join::first_ok(leaves).parallel().timeout(patience).await),
        3 => drop(join::quorum(2, leaves).timeout(patience).await),
        _ => drop(join::map(leaves, |leaf| leaf).limit(2).parallel().timeout(patience).await?),
    }
    Ok(())
}

async fn ambient(at: &mut At, outside: &Population) {
    let task = match at.random.below(4) {
        0 if !at.prompt => sc_tokio::spawn_shielded(at.random.micros(2_000), leaf(at.split())),
        1 => sc_tokio::root().spawn(leaf(at.outside(outside))),
        _ => sc_tokio::spawn(leaf(at.split())),
    };
    match at.random.below(4) {
        0 => task.abort(),
        1 => drop(task.await),
        _ => drop(task),
    }
}

//! Limits: random trees of children that await each other under a limit, with cancellations, panics and dropped scopes.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use sc_tokio::{Cancelled, Child, Limit, Nursery, Scope, Supervise, nursery};
use tokio::task::yield_now;

use crate::support::{Live, both_flavours};

type E = Cancelled;
type Tree<'a> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;

#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }

    fn fork(&mut self) -> Self {
        Self(self.next(u64::MAX))
    }
}

fn index(random: &mut Random, below: usize) -> usize {
    usize::try_from(random.next(below as u64)).unwrap()
}

struct Gate {
    limit: Limit,
    size: usize,
    now: AtomicUsize,
}

#[derive(Clone, Default)]
struct World {
    gates: Arc<Vec<Gate>>,
    live: Live,
    done: Arc<AtomicUsize>,
    /// How many ran at once, at most.
    most: Arc<AtomicUsize>,
    /// Scopes whose report does not add up.
    lost: Arc<AtomicUsize>,
}

/// Something short that only a seated child does.
fn section(world: &World, gate: Option<usize>) {
    if let Some(gate) = gate.map(|gate| &world.gates[gate]) {
        let now = gate.now.fetch_add(1, Ordering::SeqCst) + 1;
        world.most.fetch_max(now, Ordering::SeqCst);
        std::hint::spin_loop();
        if world.done.load(Ordering::Relaxed) % 7 == 0 {
            std::thread::yield_now();
        }
        gate.now.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn few(random: &mut Random) {
    for _ in 0..random.next(4) {
        yield_now().await;
    }
}

fn grow<'n>(n: &'n Scope<E>, world: &World, random: &mut Random, gate: Option<usize>, depth: u64) -> Child<'n, (), E> {
    let (world, random) = (world.clone(), random.fork());
    let alive = world.live.one();
    n.spawn_with(async move |n: &Scope<E>| {
        let _alive = alive;
        tree(n, world, random, gate, depth).await
    })
}

/// What a child does that spawns nothing into its own scope.
async fn errand(world: World, mut random: Random, gate: Option<usize>, depth: u64) -> Result<(), E> {
    let _alive = world.live.one();
    section(&world, gate);
    few(&mut random).await;
    section(&world, gate);
    if depth > 1 && random.next(3) == 0 {
        limited_scope(world, random, depth - 2).await;
    }
    Ok(())
}

fn limited_scope(world: World, random: Random, depth: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(limited_scope_in(world, random, depth))
}

#[allow(clippy::too_many_lines, reason = "one arm for each thing that can happen")]
async fn limited_scope_in(world: World, mut random: Random, depth: u64) {
    let gate = index(&mut random, world.gates.len() + 1);
    let gate = (gate < world.gates.len()).then_some(gate);
    let (cut, grace) = (random.next(3), random.next(3));
    let mut scope_random = random.fork();
    let inner = world.clone();
    let mut builder = nursery!(async |n: &Nursery<'_, E>| {
        let mut random = scope_random.fork();
        let count = random.next(4);
        let mut handles = Vec::new();
        for _ in 0..count {
            match random.next(4) {
                0 => handles.push(n.spawn_borrowed(errand(inner.clone(), random.fork(), gate, depth + 1))),
                1 => {
                    let world = inner.clone();
                    let alive = world.live.one();
                    handles.push(n.spawn_blocking(move |_| {
                        let _alive = alive;
                        section(&world, gate);
                        Ok(())
                    }));
                }
                _ => handles.push(grow(n, &inner, &mut random, gate, depth.saturating_sub(1))),
            }
        }
        end_with(n, handles, &mut random).await;
        Ok::<_, E>(())
    })
    .policy(Supervise);
    if let Some(gate) = gate {
        builder = builder.limit(&world.gates[gate].limit);
    }
    if grace == 0 {
        builder = builder.grace(Duration::from_secs(3600));
    } else if grace == 1 {
        builder = builder.grace(Duration::from_millis(1));
    }
    let mut running = Box::pin(builder.outcome().into_future());
    if cut == 0 {
        let stop = few(&mut random);
        tokio::select! {
            biased;
            () = stop => {}
            _ = &mut running => {}
        }
        return;
    }
    let outcome = running.await;
    let report = outcome.report();
    let sum = report.succeeded + report.failed + report.panicked + report.cancelled;
    if report.spawned != sum {
        world.lost.fetch_add(1, Ordering::SeqCst);
    }
}

/// How the body of a scope goes on with its children.
async fn end_with(n: &Scope<E>, handles: Vec<Child<'_, (), E>>, random: &mut Random) {
    match random.next(5) {
        0 => drop(handles),
        1 => {
            join_all(handles.into_iter().map(Child::join)).await;
        }
        2 => {
            n.cancel_children("some");
            join_all(handles.into_iter().map(Child::join)).await;
        }
        3 => {
            for handle in handles {
                if random.next(2) == 0 {
                    handle.cancel().await;
                } else {
                    let _ = handle.join().await;
                }
            }
        }
        _ => {
            few(random).await;
            n.cancel("all");
        }
    }
}

fn tree(n: &Scope<E>, world: World, mut random: Random, gate: Option<usize>, depth: u64) -> Tree<'_> {
    Box::pin(async move {
        section(&world, gate);
        for _ in 0..=random.next(3) {
            act(n, &world, &mut random, gate, depth).await?;
            section(&world, gate);
        }
        world.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })
}

#[allow(clippy::too_many_lines, reason = "one arm for each thing that can happen")]
async fn act(n: &Scope<E>, world: &World, random: &mut Random, gate: Option<usize>, depth: u64) -> Result<(), E> {
    let choice = if depth == 0 { random.next(3) } else { random.next(16) };
    match choice {
        0 => few(random).await,
        1 => section(world, gate),
        2 if random.next(30) == 0 => std::panic::resume_unwind(Box::new("storm")),
        2 => {
            if let Ok(permit) = n.try_reserve() {
                few(random).await;
                let world = world.clone();
                let alive = world.live.one();
                permit.spawn(async move {
                    let _alive = alive;
                    section(&world, gate);
                });
            }
        }
        3 | 4 => {
            let _ = grow(n, world, random, gate, depth - 1).join().await;
        }
        5 => drop(grow(n, world, random, gate, depth - 1)),
        6 | 7 => {
            let children: Vec<_> = (0..random.next(4)).map(|_| grow(n, world, random, gate, depth - 1)).collect();
            join_all(children.into_iter().map(Child::join)).await;
        }
        8 => {
            let child = grow(n, world, random, gate, depth - 1);
            few(random).await;
            child.cancel().await;
        }
        9 => {
            let child = grow(n, world, random, gate, depth - 1);
            let other = grow(n, world, random, gate, depth - 1);
            tokio::select! {
                biased;
                _ = child.join() => {}
                () = few(random) => {}
            }
            let _ = other.join().await;
        }
        10 => set(n, world, random, gate, depth).await,
        11 => join(world, random, depth).await,
        12 if random.next(4) == 0 => n.cancel_children("random"),
        _ => limited_scope(world.clone(), random.fork(), depth - 1).await,
    }
    Ok(())
}

async fn set(n: &Scope<E>, world: &World, random: &mut Random, gate: Option<usize>, depth: u64) {
    let mut set = n.join_set();
    for _ in 0..random.next(4) {
        set.spawn(errand(world.clone(), random.fork(), gate, depth));
    }
    if random.next(3) == 0 {
        let _ = set.join_next().await;
    } else {
        while set.join_next().await.is_some() {}
    }
}

async fn join(world: &World, random: &mut Random, depth: u64) {
    let gate = index(random, world.gates.len());
    let seed = random.fork();
    let count = random.next(5);
    let inner = world.clone();
    let work = move |i: u64| {
        let mine = Random(seed.0.wrapping_add(i));
        errand(inner.clone(), mine, Some(gate), depth)
    };
    let join = sc_tokio::join::map(0..count, work).limit(&world.gates[gate].limit);
    let mut join: Tree<'_> = if random.next(2) == 0 {
        let join = join.parallel();
        Box::pin(async move { join.await.map(drop) })
    } else {
        Box::pin(async move { join.await.map(drop) })
    };
    if random.next(4) == 0 {
        tokio::select! { biased; () = few(random) => {}, _ = &mut join => {} }
    } else {
        let _ = join.await;
    }
}

async fn round(seed: u64) {
    let mut random = Random(seed);
    // Two limits that are taken in turn can wait for each other, as locks can.
    let size = 1 + index(&mut random, 3);
    let gates = vec![Gate { limit: Limit::new(size), size, now: AtomicUsize::new(0) }];
    let world = World { gates: Arc::new(gates), live: Live::new(), ..World::default() };
    let inner = world.clone();
    let mut body_random = random.fork();
    let cancel = random.next(3) == 0;
    let outcome = nursery!(async move |n: &Nursery<'_, E>| {
        for _ in 0..=body_random.next(4) {
            drop(grow(n, &inner, &mut body_random, Some(0), 4));
        }
        if cancel {
            for _ in 0..body_random.next(60) {
                yield_now().await;
            }
            n.cancel("round");
        }
        Ok::<_, E>(())
    })
    .policy(Supervise)
    .limit(&world.gates[0].limit)
    .outcome()
    .await;
    let report = outcome.report();
    assert_eq!(report.spawned, report.succeeded + report.failed + report.panicked + report.cancelled, "{report:?}");
    for gate in world.gates.iter() {
        assert_eq!((gate.limit.available(), gate.limit.queued()), (gate.size, 0), "seed {seed} {:?}", gate.limit);
        assert!(format!("{:?}", gate.limit).contains("lent: 0"), "{:?}", gate.limit);
    }
    assert_eq!(world.live.count(), 0, "seed {seed}");
    assert_eq!(world.lost.load(Ordering::SeqCst), 0, "seed {seed}");
    assert!(world.most.load(Ordering::SeqCst) <= size, "seed {seed}");
}

const ROUNDS: u64 = 400;

#[test]
fn nobody_hangs_no_seat_is_lost_and_the_limit_is_never_exceeded() {
    both_flavours(|| async {
        for seed in 0..ROUNDS {
            round(seed).await;
        }
    });
}

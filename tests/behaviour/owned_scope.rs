//! `OwnedScope`: a scope that belongs to a value. Who is above it, what it inherits, what cancels it.

use std::future::{IntoFuture as _, pending};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sc_tokio::{Cancelled, OutcomeKind, OwnedScope, Phase, Reason, Root, Scope, Supervise, nursery};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::support::{Live, Log, Watchdog, both_flavours};

type Owned = OwnedScope<Cancelled>;

async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

/// A child that never ends by itself.
fn hold(scope: &Scope<Cancelled>, live: &Live) {
    let guard = live.one();
    scope.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
}

#[test]
fn it_can_be_kept_and_shared_like_any_value() {
    fn is_shareable<T: Send + Sync + 'static>() {}
    is_shareable::<OwnedScope<std::cell::Cell<u8>>>();
    is_shareable::<sc_tokio::Attached<u8>>();
}

#[test]
fn it_spawns_everything_a_scope_spawns_and_from_a_struct() {
    struct Service {
        scope: Owned,
    }
    both_flavours(|| async {
        let service = Service { scope: OwnedScope::new() };
        let plain = service.scope.spawn(async { Ok(1) });
        let with = service.scope.spawn_with(async |n: &Scope<Cancelled>| Ok(n.spawn(async { Ok(2) }).await));
        let blocking = service.scope.spawn_blocking(|_cx| Ok(3));
        let named = service.scope.task().name("four").spawn(async { Ok(4) });
        let sum = (plain.join().await, with.join().await, blocking.join().await, named.join().await);
        assert_eq!(sum.0.unwrap() + sum.1.unwrap() + sum.2.unwrap() + sum.3.unwrap(), 10);
        assert!(!service.scope.is_cancelled(), "it does not end with its children");
        let outcome = service.scope.shutdown(Duration::ZERO).await;
        assert_eq!((outcome.kind(), outcome.report().spawned), (OutcomeKind::Ok, 5));
    });
}

#[test]
fn new_is_below_the_root_whatever_scope_the_call_is_in() {
    both_flavours(|| async {
        let live = Live::new();
        let owned = nursery!(async |_n| -> Result<Owned, Cancelled> {
            let owned = OwnedScope::new();
            hold(&owned, &live);
            Ok(owned)
        })
        .await
        .unwrap();
        settle().await;
        assert_eq!((live.count(), owned.is_cancelled()), (1, false), "neither the block nor its frame ends it");
        drop(owned.shutdown(Duration::ZERO).await);
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn neither_the_cancellation_nor_the_deadline_of_the_scope_around_the_call_reaches_it() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<Owned, Cancelled> {
            let owned = Owned::new();
            assert_eq!((n.deadline().is_some(), owned.deadline()), (true, None));
            n.cancel("the block");
            Ok(owned)
        })
        .timeout(Duration::from_secs(3600))
        .await;
        let owned = result.unwrap();
        assert!(!owned.is_cancelled());
        assert_eq!(owned.spawn(async { Ok(7) }).join().await.unwrap(), 7);
    });
}

#[test]
fn the_end_of_the_frame_that_opened_it_leaves_it_alone() {
    both_flavours(|| async {
        let (sender, receiver) = oneshot::channel();
        nursery!(async |n| -> Result<(), Cancelled> {
            let owned = nursery!(async |_inner| -> Result<Owned, Cancelled> { Ok(Owned::under(n)) }).await?;
            n.spawn_with(async move |n: &Scope<Cancelled>| {
                let _ = sender.send(Owned::under(n));
            });
            let other = receiver.await.unwrap();
            settle().await;
            assert!(!owned.is_cancelled() && !other.is_cancelled(), "P3's frame rule is not for it");
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_parent_waits_for_a_scope_under_it_until_its_owner_lets_go() {
    both_flavours(|| async {
        let live = Live::new();
        let (sender, receiver) = oneshot::channel();
        let guards = live.clone();
        let block = tokio::task::spawn(async move {
            nursery!(async |n| -> Result<(), Cancelled> {
                let owned = Owned::under(n);
                hold(&owned, &guards);
                let _ = sender.send(owned);
                Ok(())
            })
            .await
        });
        let owned = receiver.await.unwrap();
        settle().await;
        assert!(!block.is_finished(), "its owner outlives the parent's body");
        drop(owned);
        block.await.unwrap().unwrap();
        assert_eq!(live.count(), 0, "P1");
    });
}

#[test]
fn a_cancelled_parent_ends_it_without_waiting_for_its_owner() {
    both_flavours(|| async {
        let (live, log) = (Live::new(), Log::new());
        let (guards, ends) = (live.clone(), log.clone());
        let (sender, receiver) = oneshot::channel();
        let block = tokio::task::spawn(async move {
            nursery!(async |n| -> Result<(), Cancelled> {
                let owned = Owned::under(n);
                hold(&owned, &guards);
                owned.defer(async move |end| ends.add(format!("{:?}", end.kind())));
                let _ = sender.send((owned, n.canceller()));
                Ok(())
            })
            .await
        });
        let (owned, canceller) = receiver.await.unwrap();
        settle().await;
        canceller.cancel("the parent");
        block.await.unwrap().unwrap();
        assert_eq!((live.count(), owned.canceller().is_closed()), (0, true));
        assert_eq!(log.entries(), ["Cancelled"], "its finalizers ran before the parent resolved");
        let why = owned.failed().await;
        assert!(why.is_inherited() && why.to_string().contains("the parent"), "{why}");
        assert!(owned.spawn(async {}).join().await.is_err(), "spawning is refused (P7)");
        let outcome = owned.shutdown(Duration::from_secs(1)).await;
        assert_eq!((outcome.kind(), outcome.report().refused), (OutcomeKind::Cancelled, 1));
    });
}

#[test]
fn under_a_cancelled_or_closed_parent_it_is_born_cancelled_and_its_finalizers_run() {
    both_flavours(|| async {
        let log = Log::new();
        let finalizer = log.clone();
        let refused = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("too late");
            let owned = Owned::under(n);
            assert!(owned.is_cancelled());
            assert!(owned.spawn(async {}).join().await.is_err());
            owned.defer(async move |_end| finalizer.add("below a cancelled one"));
            Ok(())
        });
        let _ = refused.await;
        let first = Owned::new();
        first.cancel("over");
        while !first.canceller().is_closed() {
            yield_now().await;
        }
        let second = Owned::under(&first);
        assert_eq!(second.failed().await.to_string(), first.failed().await.to_string() + ", inherited");
        let finalizer = log.clone();
        second.defer(async move |_end| finalizer.add("below a closed one"));
        let _ = second.shutdown(Duration::ZERO).await;
        assert_eq!(log.entries(), ["below a cancelled one", "below a closed one"]);
    });
}

#[tokio::test(start_paused = true)]
async fn it_has_no_deadline_of_its_parents_and_ends_when_that_expires() {
    let began = Instant::now();
    let live = Live::new();
    let (sender, receiver) = oneshot::channel();
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        let owned = Owned::under(n);
        assert_eq!((n.remaining(), owned.remaining()), (Some(Duration::from_secs(2)), None));
        hold(&owned, &live);
        n.set_deadline(Instant::now() + Duration::from_secs(1)).unwrap();
        assert_eq!(owned.deadline(), None, "nor is a move handed down");
        let _ = sender.send(owned);
        pending().await
    })
    .timeout(Duration::from_secs(2))
    .await;
    assert!(result.unwrap_err().is_deadline());
    assert_eq!((began.elapsed(), live.count()), (Duration::from_secs(1), 0));
    let why = receiver.await.unwrap().failed().await;
    assert_eq!((why.reason(), why.is_inherited()), (Reason::Deadline, true));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_its_own_expires_though_nobody_polls_it() {
    let (live, owned) = (Live::new(), Owned::new());
    hold(&owned, &live);
    owned.set_deadline(Instant::now() + Duration::from_secs(60)).unwrap();
    owned.set_deadline(Instant::now() + Duration::from_secs(3)).unwrap();
    let began = Instant::now();
    assert_eq!(owned.failed().await.reason(), Reason::Deadline);
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert_eq!(owned.shutdown(Duration::ZERO).await.kind(), OutcomeKind::DeadlineExceeded);
    assert_eq!(live.count(), 0);
}

#[test]
fn a_failing_child_cancels_it_and_tells_everybody_who_waits() {
    both_flavours(|| async {
        let live = Live::new();
        let owned = Arc::new(OwnedScope::<String>::new());
        let guard = live.one();
        owned.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let owned = Arc::clone(&owned);
                tokio::task::spawn(async move { owned.failed().await.reason() })
            })
            .collect();
        {
            let mut early = Box::pin(owned.failed());
            assert!(futures::poll!(early.as_mut()).is_pending());
        } // a waiter that leaves disturbs nobody
        settle().await;
        assert!(waiters.iter().all(|waiter| !waiter.is_finished()), "pending while nothing is cancelled");
        owned.task().name("broken").spawn(async { Err::<(), _>(String::from("broken")) });
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), Reason::ChildFailed);
        }
        assert_eq!(owned.failed().await.reason(), Reason::ChildFailed, "it is a state");
        assert!(owned.spawn(async {}).join().await.is_err());
        let owned = Arc::into_inner(owned).expect("the waiters have ended");
        let outcome = owned.shutdown(Duration::ZERO).await;
        assert_eq!(outcome.kind(), OutcomeKind::Failed);
        assert_eq!(outcome.failures()[0].to_string(), "broken");
        assert_eq!(live.count(), 0);
    });
}

#[test]
fn under_supervise_failures_wait_for_the_outcome() {
    both_flavours(|| async {
        let owned: OwnedScope<String> = OwnedScope::builder().policy(Supervise).open();
        let mut failing = Box::pin(owned.spawn(async { Err::<(), _>(String::from("one")) }).join());
        assert_eq!(failing.as_mut().await.unwrap_err().to_string(), "one");
        drop(owned.spawn(async { Err::<(), _>(String::from("two")) }));
        let third = owned.spawn(async { Ok(3) });
        assert_eq!(third.join().await.unwrap(), 3, "it goes on");
        drop(failing);
        let outcome = owned.shutdown(Duration::from_secs(9)).await;
        let failures: Vec<_> = outcome.failures().iter().map(ToString::to_string).collect();
        assert_eq!((outcome.kind(), failures), (OutcomeKind::Partial, vec!["two".to_owned()]));
    });
}

#[test]
fn a_policy_of_ones_own_decides() {
    both_flavours(|| async {
        let patient = sc_tokio::policy_fn(|exit: &sc_tokio::ChildExit<'_, String>| {
            if exit.failures_before() < 1 { sc_tokio::Verdict::Continue } else { sc_tokio::Verdict::Cancel }
        });
        let owned: OwnedScope<String> = OwnedScope::builder().policy(patient).open();
        for n in 0..2 {
            assert!(!owned.is_cancelled());
            let _ = owned.spawn(async move { Err::<(), _>(format!("failure {n}")) }).join().await;
        }
        assert_eq!(owned.failed().await.reason(), Reason::Policy);
        let outcome = owned.shutdown(Duration::ZERO).await;
        assert_eq!(outcome.failures()[0].to_string(), "failure 1");
    });
}

#[test]
fn a_dead_child_ends_the_frame_that_awaits_it_and_elsewhere_panics_with_a_message() {
    both_flavours(|| async {
        let owned = OwnedScope::<Cancelled>::builder().named("pool").open();
        let ended = nursery!(async |_n| -> Result<u8, Cancelled> {
            let child = owned.spawn(async { pending::<Result<u8, Cancelled>>().await });
            owned.cancel("stop");
            Ok(child.await)
        });
        assert_eq!(ended.await.unwrap_err().reason(), Reason::AwaitedChild);
        let bare = tokio::task::spawn(async move { owned.spawn(async { Ok(1) }).await });
        let panic = bare.await.unwrap_err().into_panic();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("scope `pool`") && message.contains(".join()"), "{message}");
    });
}

#[test]
#[should_panic(expected = "outside a Tokio runtime; open it in code that a runtime runs")]
fn outside_a_runtime_it_cannot_be_opened() {
    drop(Owned::new());
}

#[test]
fn it_can_be_opened_wherever_a_runtime_is_entered_and_default_is_new() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let owned = {
        let _entered = runtime.enter();
        let owned = Owned::default();
        drop(owned.spawn(async { Ok(1) }));
        owned
    };
    let outcome = runtime.block_on(owned.shutdown(Duration::from_secs(1)));
    assert_eq!((outcome.kind(), outcome.report().succeeded), (OutcomeKind::Ok, 1));
}

#[test]
fn the_tree_shows_it_with_its_name_its_place_and_its_children() {
    both_flavours(|| async {
        let ended = Root::new().run(async {
            let live = Live::new();
            let owned: Owned = OwnedScope::builder().named("cache").open();
            let (opened, unnamed) = (line!(), Owned::under(&owned));
            hold(&unnamed, &live);
            settle().await;
            let tree = sc_tokio::tree();
            let [root, cache, below] = &tree.scopes[..] else { panic!("{tree}") };
            assert_eq!((root.depth, cache.depth, below.depth), (0, 1, 2));
            assert_eq!((cache.name.as_deref(), cache.phase, cache.children), (Some("cache"), Phase::Open, 0));
            assert_eq!(below.waiting.len(), 1);
            assert_eq!((below.place.file(), below.place.line()), (file!(), opened));
            drop((unnamed, owned));
            while sc_tokio::tree().scopes.len() > 1 {
                yield_now().await; // until both have closed
            }
        });
        assert!(ended.await.is_clean());
    });
}

#[test]
fn the_end_of_the_program_cancels_and_joins_it() {
    both_flavours(|| async {
        let (live, log) = (Live::new(), Log::new());
        let (guards, ends) = (live.clone(), log.clone());
        let kept: Arc<Mutex<Vec<Owned>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let ended = Root::new()
            .run(async move {
                let busy: Owned = OwnedScope::builder().grace(Duration::from_millis(1)).open();
                hold(&busy, &guards);
                let last = ends.clone();
                busy.defer(async move |_end| last.add("finalizer"));
                busy.spawn_with(async move |n: &Scope<Cancelled>| {
                    ends.add(format!("{:?}", n.cancelled().await.reason()));
                });
                let idle = Owned::new();
                settle().await;
                keep.lock().unwrap().extend([busy, idle]);
            })
            .await;
        assert_eq!(live.count(), 0, "joined, though its owner lives");
        assert_eq!(log.entries(), ["MainReturned", "finalizer"], "in its own grace");
        assert_eq!(ended.left_behind().len(), 1, "the one with children is named: {:?}", ended.left_behind());
        let kept: Vec<_> = std::mem::take(&mut *kept.lock().unwrap());
        assert!(kept.iter().all(|owned| owned.canceller().is_closed()));
        assert_eq!(kept[1].failed().await.reason(), Reason::MainReturned);
    });
}

#[test]
fn a_long_chain_of_them_ends_in_constant_stack() {
    const DEPTH: usize = 50_000;
    both_flavours(|| async {
        let top = Owned::new();
        let mut chain = vec![Owned::under(&top)];
        for n in 1..DEPTH {
            let below = Owned::under(&chain[n - 1]);
            chain.push(below);
        }
        top.cancel("all of them");
        assert!(chain.iter().all(|owned| owned.is_cancelled()), "P6: published before anything is waited for");
        let outcome = top.shutdown(Duration::ZERO).await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok);
        assert!(chain.iter().all(|owned| owned.canceller().is_closed()), "P11");
    });
}

/// A pool of one connection, which tops itself up when it is empty.
struct Pool {
    idle: Mutex<Vec<u32>>,
    arrived: tokio::sync::Notify,
    connecting: Mutex<bool>,
    scope: Owned,
}

impl Pool {
    fn new() -> Arc<Self> {
        let (idle, connecting) = (Mutex::default(), Mutex::default());
        Arc::new(Self { idle, arrived: tokio::sync::Notify::new(), connecting, scope: OwnedScope::new() })
    }

    /// The one who finds the pool empty starts the connecting; `ambient`: as a task of whoever asks.
    async fn get(self: &Arc<Self>, ambient: bool) -> u32 {
        loop {
            let arrived = self.arrived.notified();
            if let Some(connection) = self.idle.lock().unwrap().pop() {
                return connection;
            }
            if !std::mem::replace(&mut *self.connecting.lock().unwrap(), true) {
                let pool = Arc::downgrade(self);
                let connect = async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let Some(pool) = pool.upgrade() else { return };
                    pool.idle.lock().unwrap().push(1);
                    *pool.connecting.lock().unwrap() = false;
                    pool.arrived.notify_waiters();
                };
                if ambient {
                    drop(sc_tokio::spawn(connect));
                } else {
                    self.scope.spawn(connect);
                }
            }
            arrived.await;
        }
    }
}

/// A request whose client leaves while the pool connects; then the next one.
async fn two_requests(ambient: bool) -> Result<u32, tokio::time::error::Elapsed> {
    let pool = Pool::new();
    let request =
        Box::pin(async { nursery!(async |_request| -> Result<u32, Cancelled> { Ok(pool.get(ambient).await) }).await });
    assert!(tokio::time::timeout(Duration::from_millis(10), request).await.is_err(), "the client leaves");
    let next = nursery!(async |_request| -> Result<u32, Cancelled> { Ok(pool.get(ambient).await) });
    tokio::time::timeout(Duration::from_secs(2), next.into_future()).await.map(Result::unwrap)
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_tops_itself_up_inside_a_request_whose_client_leaves_keeps_its_slot() {
    assert!(two_requests(true).await.is_err(), "the trap: the request owned the refill, and took it along");
    let began = Instant::now();
    assert_eq!(two_requests(false).await.unwrap(), 1, "the pool owns it");
    assert_eq!(began.elapsed(), Duration::from_millis(50), "and it was on its way all the time");
}

//! `OwnedScope`: `shutdown`, and dropping it anywhere.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use sc_tokio::{Cancelled, OutcomeKind, OwnedScope, Reason, Scope, nursery};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{Live, Log, Watchdog, both_flavours, hooked};

type Owned = OwnedScope<Cancelled>;

const SECOND: Duration = Duration::from_secs(1);

async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn children_that_end_within_the_grace_leave_the_outcome_ok() {
    let owned = Owned::new();
    let reason = Arc::new(Mutex::new(None));
    let told = Arc::clone(&reason);
    owned.spawn_with(async move |n: &Scope<Cancelled>| {
        let why = n.cancelled().await;
        sleep(SECOND).await;
        *told.lock().unwrap() = Some((why.reason(), why.to_string()));
    });
    settle().await;
    let began = Instant::now();
    let outcome = owned.shutdown(5 * SECOND).await;
    assert_eq!((began.elapsed(), outcome.kind()), (SECOND, OutcomeKind::Ok), "it does not wait longer than it has to");
    assert!(outcome.report().stragglers.is_empty());
    let (reason, text) = reason.lock().unwrap().take().unwrap();
    assert_eq!(reason, Reason::Requested);
    assert!(text.ends_with("shut down"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn children_dropped_at_the_end_of_the_grace_are_named() {
    let (live, owned) = (Live::new(), Owned::new());
    let guards = [live.one(), live.one()];
    let spawned = line!() + 1;
    owned.task().name("stubborn").spawn(async {
        sc_tokio::spawn(async {
            let _guards = guards;
            pending::<()>().await;
        });
        pending::<()>().await;
    });
    owned.spawn_with(async |n: &Scope<Cancelled>| drop(n.cancelled().await));
    settle().await;
    let began = Instant::now();
    let outcome = owned.shutdown(5 * SECOND).await;
    assert_eq!((began.elapsed(), outcome.kind(), live.count()), (5 * SECOND, OutcomeKind::Cancelled, 0));
    let stragglers = &outcome.report().stragglers;
    let lines: Vec<_> = stragglers.iter().map(|who| who.member.place().unwrap().line()).collect();
    assert_eq!(lines, [spawned, spawned + 1], "the child, and the task that it spawned without a word: {outcome:?}");
    assert_eq!(stragglers[0].member.name(), Some("stubborn"));
    assert_eq!(stragglers[0].after, 5 * SECOND);
}

#[test]
fn without_a_grace_they_are_dropped_at_once() {
    both_flavours(|| async {
        let (live, owned) = (Live::new(), Owned::builder().grace(60 * SECOND).open());
        for _ in 0..100 {
            let guard = live.one();
            owned.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
        while owned.len() < 100 {
            yield_now().await;
        }
        settle().await;
        let outcome = owned.shutdown(Duration::ZERO).await;
        assert_eq!((outcome.kind(), outcome.report().cancelled, live.count()), (OutcomeKind::Cancelled, 100, 0));
        assert!(outcome.report().stragglers.len() <= 64, "the first of them");
    });
}

#[tokio::test(start_paused = true)]
async fn daemons_share_the_grace_and_finalizers_come_last() {
    let (log, owned) = (Log::new(), Owned::new());
    for name in ["older", "newer"] {
        let log = log.clone();
        owned.task().daemon().spawn(async move {
            let _gone = log.on_drop(name);
            pending::<()>().await;
        });
    }
    let ends = log.clone();
    owned.defer(async move |end| ends.add(format!("finalizer: {:?}", end.kind())));
    let ends = log.clone();
    owned.spawn(async move {
        sleep(2 * SECOND).await;
        ends.add("child");
    });
    settle().await;
    let began = Instant::now();
    let outcome = owned.shutdown(5 * SECOND).await;
    assert_eq!(log.entries(), ["child", "newer", "older", "finalizer: Ok"], "P10");
    assert_eq!(outcome.kind(), OutcomeKind::Ok, "daemons never make it an error (P5)");
    assert_eq!(began.elapsed(), 5 * SECOND, "one grace for all, and not one for each");
}

#[test]
fn a_scope_that_has_failed_gives_its_failures_the_primary_one_first() {
    both_flavours(|| async {
        let owned = OwnedScope::<String>::builder().grace(60 * SECOND).open();
        owned.spawn_with(async |n: &Scope<String>| {
            n.cancelled().await;
            Err::<(), _>(String::from("second"))
        });
        settle().await;
        owned.spawn(async { Err::<(), _>(String::from("first")) });
        owned.failed().await;
        while !owned.canceller().is_closed() {
            yield_now().await;
        }
        let outcome = owned.shutdown(SECOND).await;
        let failures: Vec<_> = outcome.failures().iter().map(ToString::to_string).collect();
        assert_eq!((outcome.kind(), failures), (OutcomeKind::Failed, vec!["first".to_owned(), "second".to_owned()]));
        assert_eq!(outcome.cancelled().unwrap().reason(), Reason::ChildFailed, "the first reason stays (P6)");
    });
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_shortens_a_grace_that_runs_also_in_the_scopes_below() {
    let (live, owned) = (Live::new(), Owned::builder().grace(60 * SECOND).open());
    let (shared, own) = (live.one(), live.one());
    owned.spawn(async move {
        nursery!(async |inner| -> Result<(), Cancelled> {
            inner.spawn(async move {
                let _shared = shared;
                pending::<()>().await;
            });
            pending().await
        })
        .await
    });
    owned.spawn(async move {
        nursery!(async |inner| -> Result<(), Cancelled> {
            inner.spawn(async move {
                let _own = own;
                pending::<()>().await;
            });
            pending().await
        })
        .grace(7 * SECOND)
        .await
    });
    settle().await;
    owned.cancel("long before");
    sleep(2 * SECOND).await;
    let began = Instant::now();
    let mut shutdown = Box::pin(owned.shutdown(3 * SECOND));
    tokio::select! {
        _ = shutdown.as_mut() => unreachable!("one of them has a grace of its own"),
        () = sleep(4 * SECOND) => assert_eq!(live.count(), 1, "the other shares it"),
    }
    let outcome = shutdown.await;
    assert_eq!(began.elapsed(), 5 * SECOND);
    assert!(outcome.cancelled().unwrap().to_string().contains("long before"), "the first reason stays (P6)");
}

#[tokio::test(start_paused = true)]
async fn a_later_or_endless_grace_does_not_lengthen_one_that_runs() {
    let owned = Owned::builder().grace(SECOND).open();
    owned.spawn(pending::<()>());
    settle().await;
    owned.cancel("first");
    let began = Instant::now();
    assert_eq!(owned.shutdown(Duration::MAX).await.kind(), OutcomeKind::Cancelled);
    assert_eq!(began.elapsed(), SECOND);
    let patient = Owned::new();
    patient.spawn(sleep(1000 * SECOND));
    settle().await;
    assert_eq!(patient.shutdown(Duration::MAX).await.kind(), OutcomeKind::Ok, "as long as it takes");
    assert_eq!(began.elapsed(), 1001 * SECOND);
}

#[test]
fn running_blocking_code_is_waited_for_and_named() {
    both_flavours(|| async {
        let owned = Owned::builder().warn_after(Duration::from_millis(20)).open();
        let (release, released) = mpsc::channel::<()>();
        let (running, runs) = oneshot::channel();
        owned.task().name("export").spawn_blocking(move |_cx| {
            let _ = running.send(());
            let _ = released.recv();
        });
        runs.await.unwrap();
        let mut shutdown = Box::pin(owned.shutdown(Duration::ZERO));
        let early = tokio::time::timeout(Duration::from_millis(60), shutdown.as_mut()).await;
        assert!(early.is_err(), "what cannot be stopped is waited for (P9)");
        drop(release);
        let outcome = shutdown.await;
        let [export] = &outcome.report().stragglers[..] else { panic!("{outcome:?}") };
        assert_eq!(export.member.name(), Some("export"));
        assert!(export.after >= Duration::from_millis(20), "brought up to date while it went on: {export:?}");
    });
}

#[test]
fn a_shutdown_dropped_half_way_leaves_the_rest_to_the_parent() {
    let lost = hooked("after the shutdown", || {
        both_flavours(|| async {
            let (log, ends) = (Log::new(), Log::new());
            let end = ends.clone();
            nursery!(async |n| -> Result<(), Cancelled> {
                let owned = OwnedScope::<String>::under(n);
                owned.spawn_with(async |n: &Scope<String>| {
                    n.cancelled().await;
                    settle().await;
                    Err::<(), _>(String::from("after the shutdown"))
                });
                owned.defer(async move |_end| end.add("finalizer"));
                settle().await;
                let mut shutdown = Box::pin(owned.shutdown(60 * SECOND));
                assert!(futures::poll!(shutdown.as_mut()).is_pending());
                drop(shutdown);
                log.add("dropped");
                Ok(())
            })
            .await
            .unwrap();
            assert_eq!(ends.entries(), ["finalizer"], "the parent waited");
        });
    });
    assert_eq!(lost.len(), 2, "nobody is left to take it but the hook, once per flavour (P4): {lost:?}");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_shuts_its_own_scope_down_waits_for_itself_until_the_grace_is_over() {
    let (log, owned) = (Log::new(), Arc::new(Mutex::new(None)));
    let scope = Owned::new();
    let closed = scope.canceller();
    let (mine, ends) = (Arc::clone(&owned), log.clone());
    scope.spawn(async move {
        yield_now().await;
        let _gone = ends.on_drop("dropped");
        let scope: Owned = mine.lock().unwrap().take().unwrap();
        let _ = scope.shutdown(3 * SECOND).await;
        ends.add("never");
    });
    *owned.lock().unwrap() = Some(scope);
    let began = Instant::now();
    while !closed.is_closed() {
        sleep(SECOND / 10).await;
    }
    assert_eq!(log.entries(), ["dropped"]);
    assert!((3 * SECOND..4 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[test]
fn dropping_it_leaves_its_remains_to_its_parent_and_its_failures_to_the_hook() {
    let lost = hooked("while dropped", || {
        both_flavours(|| async {
            let log = Log::new();
            nursery!(async |n| -> Result<(), Cancelled> {
                let owned: OwnedScope<String> = OwnedScope::builder().under(n).grace(60 * SECOND).named("conn").open();
                let (child, finalizer) = (log.clone(), log.clone());
                owned.spawn_with(async move |n: &Scope<String>| {
                    let why = n.cancelled().await;
                    settle().await;
                    child.add(format!("{:?}", why.reason()));
                    Err::<(), _>(String::from("while dropped"))
                });
                owned.defer(async move |end| finalizer.add(format!("{:?}", end.kind())));
                settle().await;
                drop(owned);
                Ok(())
            })
            .await
            .unwrap();
            assert_eq!(log.entries(), ["ScopeDropped", "Cancelled"], "the parent waited for all of it");
        });
    });
    assert!(lost.len() == 2 && lost[0].contains("scope `conn`"), "{lost:?}");
}

#[test]
fn a_failure_that_nobody_fetched_goes_to_the_hook_when_the_owner_goes() {
    let lost = hooked("never fetched", || {
        both_flavours(|| async {
            let owned = OwnedScope::<String>::new();
            owned.spawn(async { Err::<(), _>(String::from("never fetched")) });
            owned.failed().await;
            while !owned.canceller().is_closed() {
                yield_now().await;
            }
            settle().await;
        });
    });
    assert_eq!(lost.len(), 2, "once per flavour: {lost:?}");
}

#[test]
fn a_shutdown_that_takes_the_outcome_leaves_nothing_for_the_hook() {
    let lost = hooked("fetched by the shutdown", || {
        both_flavours(|| async {
            let owned = OwnedScope::<String>::new();
            owned.spawn(async { Err::<(), _>(String::from("fetched by the shutdown")) });
            owned.failed().await;
            assert_eq!(owned.shutdown(SECOND).await.failures().len(), 1);
        });
    });
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn an_empty_one_closes_when_it_is_dropped() {
    both_flavours(|| async {
        let owned = Owned::new();
        let closed = owned.canceller();
        drop(owned);
        assert!(closed.is_closed(), "nobody has to be polled for it");
    });
}

#[test]
fn it_can_be_dropped_on_a_thread_outside_the_runtime() {
    both_flavours(|| async {
        let (live, owned) = (Live::new(), Owned::new());
        let guard = live.one();
        owned.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        settle().await;
        std::thread::spawn(move || drop(owned)).join().unwrap();
        while live.count() > 0 {
            yield_now().await;
        }
    });
}

#[test]
fn the_end_of_the_runtime_ends_it_and_its_owner_may_live_on() {
    let _watchdog = Watchdog::start();
    for threads in [0, 2] {
        let runtime = match threads {
            0 => tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            threads => {
                tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
            }
        };
        let (live, guard) = (Live::new(), Live::new());
        let (busy, idle, dropped) = runtime.block_on(async {
            let scopes: (Owned, Owned, Owned) = (Owned::new(), Owned::new(), Owned::new());
            let (a, b, f) = (live.one(), live.one(), guard.one());
            scopes.0.spawn(async move {
                let _a = a;
                pending::<()>().await;
            });
            scopes.0.defer(async move |_end| drop(f));
            scopes.2.spawn(async move {
                let _b = b;
                pending::<()>().await;
            });
            settle().await;
            scopes
        });
        assert_eq!((live.count(), busy.is_cancelled()), (2, false));
        drop(runtime);
        assert_eq!((live.count(), guard.count()), (0, 0), "children and finalizers are dropped with it");
        drop(dropped);
        let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        other.block_on(async {
            assert_eq!(busy.failed().await.reason(), Reason::RuntimeEnded);
            assert_eq!(idle.failed().await.reason(), Reason::RuntimeEnded);
            assert_eq!(idle.shutdown(SECOND).await.kind(), OutcomeKind::Ok);
            assert!(busy.spawn(async {}).join().await.is_err(), "refused");
            assert_eq!(busy.shutdown(SECOND).await.kind(), OutcomeKind::Cancelled);
        });
    }
}

#[test]
fn without_a_timer_a_grace_is_none_and_nothing_hangs() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for grace in [Duration::ZERO, SECOND] {
            let (live, owned) = (Live::new(), Owned::new());
            let guard = live.one();
            owned.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            settle().await;
            let outcome = owned.shutdown(grace).await;
            assert_eq!((outcome.kind(), live.count()), (OutcomeKind::Cancelled, 0));
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_has_the_time_it_is_given() {
    let owned = Owned::builder().finalizer_timeout(2 * SECOND).open();
    owned.defer(async |_end| pending::<()>().await);
    let began = Instant::now();
    let outcome = owned.shutdown(60 * SECOND).await;
    assert_eq!(began.elapsed(), 2 * SECOND, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn scopes_below_it_share_the_grace_of_a_shutdown() {
    let (live, owned) = (Live::new(), Owned::new());
    let below = Owned::under(&owned);
    let guard = live.one();
    below.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    settle().await;
    let began = Instant::now();
    let outcome = owned.shutdown(4 * SECOND).await;
    assert_eq!((began.elapsed(), live.count()), (4 * SECOND, 0), "waited for, as everything below");
    assert_eq!(outcome.kind(), OutcomeKind::Ok, "its own children lost nothing");
    let why = below.failed().await;
    assert!(why.is_inherited() && why.to_string().contains("shut down"), "{why}");
    assert_eq!(below.shutdown(SECOND).await.kind(), OutcomeKind::Cancelled, "its children did");
}

#[test]
fn dropping_it_while_a_panic_unwinds_is_a_drop_like_any_other() {
    both_flavours(|| async {
        let live = Live::new();
        let guard = live.one();
        let task = tokio::task::spawn(async move {
            let owned = Owned::new();
            owned.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            settle().await;
            panic!("the owner's own");
        });
        assert!(task.await.unwrap_err().is_panic());
        while live.count() > 0 {
            yield_now().await;
        }
    });
}

#[test]
fn a_forgotten_one_is_ended_with_its_parent() {
    both_flavours(|| async {
        let (live, guards) = (Live::new(), Live::new());
        let (a, b) = (live.one(), guards.one());
        let ended = sc_tokio::Root::new().run(async move {
            let owned = Owned::new();
            owned.spawn(async move {
                let _a = a;
                pending::<()>().await;
            });
            let attached = Owned::under(&owned).attach(b);
            settle().await;
            std::mem::forget((owned, attached));
        });
        assert!(ended.await.is_clean());
        assert_eq!((live.count(), guards.count()), (0, 1), "joined; only the forgotten value is leaked");
    });
}

/// A service whose children hold it.
struct Service {
    scope: Owned,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_last_owner_may_be_a_child_of_the_scope_itself() {
    both_flavours(|| async {
        let (log, dropped) = (Log::new(), Arc::new(AtomicUsize::new(0)));
        let service = Arc::new(Service { scope: Owned::new(), dropped: Arc::clone(&dropped) });
        let closed = service.scope.canceller();
        let (go, gone) = oneshot::channel::<()>();
        let (mine, ends) = (Arc::clone(&service), log.clone());
        service.scope.spawn(async move {
            gone.await.unwrap();
            drop(mine);
            ends.add("goes on to its next await");
            pending::<()>().await;
            ends.add("never");
        });
        drop(service);
        settle().await;
        assert_eq!(dropped.load(Ordering::SeqCst), 0, "the child keeps it");
        go.send(()).unwrap();
        while !closed.is_closed() {
            yield_now().await;
        }
        assert_eq!(log.entries(), ["goes on to its next await"]);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn whoever_of_child_and_outside_is_last_the_scope_ends() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut by_child, mut by_outside) = (0, 0);
    for round in 0.. {
        assert!(round < 100_000, "one outcome was never seen: {by_child} by the child, {by_outside} outside");
        let last = runtime.block_on(async {
            let service = Arc::new(Owned::new());
            let closed = service.canceller();
            let mine = Arc::clone(&service);
            let barrier = Arc::new(std::sync::Barrier::new(2));
            let meet = Arc::clone(&barrier);
            let (sender, receiver) = oneshot::channel();
            service.spawn(async move {
                meet.wait();
                let _ = sender.send(Arc::into_inner(mine).is_some());
            });
            // Not behind the child in the queue of one thread.
            let outside = tokio::task::spawn_blocking(move || {
                barrier.wait();
                Arc::into_inner(service).is_some()
            });
            let outside = outside.await.unwrap();
            let child = receiver.await.unwrap();
            assert!(child ^ outside, "exactly one was last");
            while !closed.is_closed() {
                yield_now().await;
            }
            child
        });
        if last {
            by_child += 1;
        } else {
            by_outside += 1;
        }
        if by_child > 0 && by_outside > 0 {
            break;
        }
    }
}

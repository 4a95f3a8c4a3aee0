//! Values that children inherit from the code that spawns them: `scope_local!`.

use std::future::{IntoFuture, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sc_tokio::{Cancelled, Failure, OutcomeKind, Scope, nursery, scope_local};

use crate::support::{Live, Log, both_flavours};

scope_local! {
    /// The request that is being served.
    static REQUEST: u64;
    pub(crate) static TENANT: String;
    static GUARD: Arc<crate::support::Alive>
}

scope_local!();

/// What is bound where this runs.
fn request() -> Option<u64> {
    REQUEST.try_get().ok()
}

/// Writes down who ran, and what was bound there.
async fn noted(seen: Log, who: &'static str) {
    tokio::task::yield_now().await; // also at the second poll
    seen.add(format!("{who} {:?}", request()));
}

#[test]
fn every_kind_of_child_inherits_from_its_spawner() {
    const INHERIT: [&str; 11] = [
        "spawn",
        "with",
        "sibling",
        "borrowed",
        "blocking",
        "daemon",
        "ambient",
        "closure",
        "shielded",
        "root",
        "finalizer",
    ];
    both_flavours(|| async {
        let seen = Log::new();
        let note = |who| noted(seen.clone(), who);
        let work = async {
            nursery!(async |n| -> Result<(), Cancelled> {
                let last = seen.clone();
                n.defer(async move |_| noted(last, "finalizer").await);
                n.spawn(note("spawn")).await;
                let (with, sibling) = (note("with"), note("sibling"));
                n.spawn_with(async move |n: &Scope<Cancelled>| {
                    with.await;
                    n.spawn(sibling);
                })
                .await;
                n.spawn_borrowed(async { note("borrowed").await }).await;
                let (blocking, closure) = (seen.clone(), seen.clone());
                n.spawn_blocking(move |_| blocking.add(format!("blocking {:?}", request()))).await;
                n.task().daemon().spawn(note("daemon")).await;
                sc_tokio::spawn(note("ambient")).await.unwrap();
                sc_tokio::spawn_blocking(move || closure.add(format!("closure {:?}", request()))).await.unwrap();
                sc_tokio::spawn_shielded(Duration::from_secs(1), note("shielded")).await.unwrap();
                sc_tokio::root().spawn(note("root")).await.unwrap();
                sc_tokio::spawn_detached("a test", note("detached")).await.unwrap();
                on_tokio(note("tokio")).await;
                Ok(())
            })
            .await
        };
        REQUEST.scope(7, work).await.unwrap();
        let mut seen = seen.entries();
        seen.sort();
        let mut expected: Vec<_> = INHERIT.iter().map(|who| format!("{who} Some(7)")).collect();
        expected.extend(["detached None".to_owned(), "tokio None".to_owned()]);
        expected.sort();
        assert_eq!(seen, expected);
    });
}

async fn on_tokio(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work).await.unwrap();
}

#[tokio::test]
async fn a_local_task_inherits_too_and_not_from_whoever_polls_it() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let outside = sc_tokio::spawn_local(async {
                tokio::task::yield_now().await;
                request()
            });
            let inside = REQUEST.sync_scope(1, || sc_tokio::spawn_local(async { request() }));
            // The set is polled inside this scope from here on.
            let both = async { (outside.await.unwrap(), inside.await.unwrap()) };
            assert_eq!(TENANT.scope("t".into(), both).await, (None, Some(1)));
        })
        .await;
}

#[test]
fn a_child_does_not_see_what_is_bound_around_the_executor_that_polls_it() {
    // A first use, since before it nothing is kept, not even that there was nothing.
    REQUEST.sync_scope(0, || ());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let child = {
        let _entered = runtime.enter();
        sc_tokio::spawn(async { request() })
    };
    let detached = {
        let _entered = runtime.enter();
        sc_tokio::spawn_detached("a test", async { request() })
    };
    let seen = REQUEST.sync_scope(9, || runtime.block_on(async { (child.await.unwrap(), detached.await.unwrap()) }));
    assert_eq!(seen, (None, None));
}

#[test]
fn rebinding_in_a_body_is_for_later_children() {
    both_flavours(|| async {
        let work = nursery!(async |n| -> Result<(), Cancelled> {
            let (go, gate) = tokio::sync::oneshot::channel::<()>();
            let early = n.spawn(async move {
                let _ = gate.await;
                Ok(request())
            });
            let late = REQUEST
                .scope(2, async {
                    let late = n.spawn(async { Ok(request()) });
                    go.send(()).unwrap();
                    assert_eq!(early.await, Some(1));
                    late.await
                })
                .await;
            assert_eq!((late, request()), (Some(2), Some(1)));
            assert_eq!(n.spawn(async { Ok(request()) }).await, Some(1));
            Ok(())
        });
        REQUEST.scope(1, work.into_future()).await.unwrap();
        assert_eq!(request(), None);
    });
}

#[tokio::test]
async fn statics_are_bound_apart_and_nest_in_any_order() {
    let seen = || (request(), TENANT.try_with(String::clone).ok());
    let work = TENANT.scope("a".into(), async {
        tokio::task::yield_now().await;
        let inner = REQUEST.scope(2, async {
            tokio::task::yield_now().await;
            seen()
        });
        (inner.await, seen())
    });
    let (inner, outer) = REQUEST.scope(1, work).await;
    assert_eq!(inner, (Some(2), Some("a".to_owned())));
    assert_eq!(outer, (Some(1), Some("a".to_owned())));
    assert_eq!(seen(), (None, None));
    let shadowed = TENANT.sync_scope("x".into(), || TENANT.sync_scope("y".into(), || TENANT.with(String::clone)));
    assert_eq!(shadowed, "y");
}

#[test]
fn a_panic_leaves_what_was_bound_outside() {
    let result = REQUEST.sync_scope(1, || {
        let result = catch_unwind(AssertUnwindSafe(|| REQUEST.sync_scope(2, || panic!("inside {:?}", request()))));
        assert_eq!(request(), Some(1));
        result
    });
    assert_eq!(result.unwrap_err().downcast_ref::<String>().unwrap(), "inside Some(2)");
    assert_eq!(request(), None);
}

#[tokio::test]
async fn a_panic_in_a_bound_future_unbinds_it_for_those_who_go_on_here() {
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(REQUEST.scope(3, async {
            assert_eq!(request(), None, "in a child");
        }));
        n.cancelled().await;
        pending().await
    })
    .outcome()
    .await;
    assert!(matches!(outcome.failures(), [Failure::Panic(panic)] if panic.message().unwrap().contains("in a child")));
    assert_eq!(request(), None);
}

#[tokio::test]
async fn what_is_dropped_sees_its_own_values() {
    struct Look(Arc<Mutex<Vec<Option<u64>>>>);
    impl Drop for Look {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(request());
        }
    }
    let seen = Arc::default();
    drop(REQUEST.scope(1, {
        let look = Look(Arc::clone(&seen));
        async move { drop(look) } // never polled
    }));
    let result = nursery!(async |n| -> Result<(), Cancelled> {
        let look = Look(Arc::clone(&seen));
        REQUEST.sync_scope(2, || {
            n.spawn(async move {
                let _look = look;
                pending::<()>().await;
            });
        });
        tokio::task::yield_now().await;
        n.cancel("stop");
        pending().await
    })
    .await;
    assert!(result.is_err());
    assert_eq!(*seen.lock().unwrap(), [Some(1), Some(2)]);
}

#[test]
fn a_value_is_dropped_with_the_last_that_inherited_it_and_before_its_scope_resolves() {
    both_flavours(|| async {
        let live = Live::new();
        nursery!(async |n| -> Result<(), Cancelled> {
            let (go, gate) = tokio::sync::oneshot::channel::<()>();
            let guard = Arc::new(live.one());
            let child = GUARD.sync_scope(guard, || {
                n.spawn(async move {
                    let _ = gate.await;
                })
            });
            assert_eq!(live.count(), 1, "the child keeps it");
            go.send(()).unwrap();
            child.await;
            for _ in 0..32 {
                GUARD.sync_scope(Arc::new(live.one()), || {
                    n.spawn(async { tokio::task::yield_now().await });
                    sc_tokio::spawn(async { tokio::task::yield_now().await });
                    n.spawn_blocking(|_| ());
                    n.defer(async |_| ());
                });
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[tokio::test]
async fn a_value_that_is_bound_for_a_future_does_not_outlast_its_end() {
    let live = Live::new();
    let mut bound = Box::pin(GUARD.scope(Arc::new(live.one()), async { GUARD.with(|_| ()) }));
    bound.as_mut().await;
    assert_eq!(live.count(), 0, "though the future is still there");
}

/// Each link rebinds and spawns the next; tells how many values live.
fn hand_on(live: Live, left: u32, told: tokio::sync::mpsc::UnboundedSender<usize>) {
    GUARD.sync_scope(Arc::new(live.one()), move || {
        sc_tokio::root().spawn(async move {
            told.send(live.count()).unwrap();
            if left > 0 {
                hand_on(live, left - 1, told);
            }
        });
    });
}

#[tokio::test]
async fn a_chain_of_children_that_rebind_leaves_nothing_behind() {
    let (told, mut counts) = tokio::sync::mpsc::unbounded_channel();
    hand_on(Live::new(), 50, told);
    let mut all = Vec::new();
    while let Some(count) = counts.recv().await {
        all.push(count);
    }
    assert_eq!(all.len(), 51);
    assert!(all.iter().all(|count| (1..=2).contains(count)), "links that ended keep their values: {all:?}");
}

#[tokio::test]
async fn a_destructor_that_panics_in_a_child_fails_the_scope() {
    static BOUND: AtomicBool = AtomicBool::new(false);
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            BOUND.store(true, Ordering::SeqCst);
            panic!("the value's destructor");
        }
    }
    scope_local! { static BOMB: Bomb }
    let outcome = nursery!(async |n| -> Result<(), Cancelled> {
        let (go, gate) = tokio::sync::oneshot::channel::<()>();
        BOMB.sync_scope(Bomb, || {
            n.spawn(async move {
                let _ = gate.await;
            })
        });
        go.send(()).unwrap();
        Ok(())
    })
    .outcome()
    .await;
    assert!(BOUND.load(Ordering::SeqCst));
    assert_eq!(outcome.kind(), OutcomeKind::Failed);
    assert!(matches!(outcome.failures(), [Failure::Panic(panic)] if panic.message() == Some("the value's destructor")));
}

#[test]
fn asking_where_nothing_is_bound_says_what_to_do() {
    let error = REQUEST.try_get().unwrap_err();
    assert!(error.to_string().starts_with("`REQUEST` is not bound here: wrap the code"), "{error}");
    let panic = catch_unwind(|| TENANT.with(String::len)).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("`TENANT.scope(value, future)`"));
    assert_eq!(format!("{REQUEST:?}"), "ScopeLocal { name: \"REQUEST\", .. }");
}

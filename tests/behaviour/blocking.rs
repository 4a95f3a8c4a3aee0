//! Blocking children: told, waited for, and dropped at once while they still queue.

use std::sync::mpsc;
use std::sync::{Arc, Barrier};

use sc_tokio::{Cancelled, Failure, nursery};

use crate::support::{Live, Watchdog, both_flavours};

#[test]
fn a_value_an_error_and_a_panic_arrive() {
    both_flavours(|| async {
        let sum = nursery!(async |n| -> Result<u32, String> {
            let value = n.spawn_blocking(|_cx| Ok(41));
            let error = n.task().isolated().spawn_blocking(|_cx| Err::<(), _>(String::from("no")));
            let panic = n.task().isolated().spawn_blocking(|_cx| -> Result<(), String> { panic!("oh") });
            assert!(matches!(error.join().await, Err(Failure::Error(e)) if e == "no"));
            assert!(panic.join().await.unwrap_err().is_panic());
            Ok(value.await + 1)
        })
        .map_cancelled(|c| c.to_string())
        .await;
        assert_eq!(sum.unwrap(), 42);
    });
}

#[test]
fn running_code_sees_the_cancellation_and_is_waited_for() {
    both_flavours(|| async {
        let live = Live::new();
        let guard = live.one();
        let (started, running) = tokio::sync::oneshot::channel();
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            n.spawn_blocking(move |cx| {
                let _guard = guard;
                started.send(()).unwrap();
                loop {
                    cx.check()?;
                    std::thread::yield_now();
                }
                #[allow(unreachable_code, reason = "gives the closure its type")]
                Ok::<(), Cancelled>(())
            });
            running.await.unwrap();
            n.cancel("leave the loop");
            Ok(())
        })
        .await;
        assert!(result.is_err());
        assert_eq!(live.count(), 0, "P1 holds for blocking code, too");
    });
}

#[test]
fn a_queued_one_drops_its_captures_when_the_scope_is_cancelled() {
    let _watchdog = Watchdog::start();
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (release, gate) = mpsc::channel::<()>();
    let barrier = Arc::new(Barrier::new(2));
    let busy = Arc::clone(&barrier);
    runtime.spawn_blocking(move || {
        busy.wait();
        gate.recv().unwrap();
    });
    barrier.wait(); // the pool's only thread is taken
    runtime.block_on(async {
        let live = Live::new();
        let outcome = nursery!(async |n| -> Result<(), Cancelled> {
            let guard = live.one();
            n.spawn_blocking(move |_cx| {
                drop(guard);
                Ok(())
            });
            let guard = live.one();
            let alone = n.spawn_blocking(move |_cx| {
                drop(guard);
                Ok(())
            });
            alone.cancel().await;
            assert_eq!(live.count(), 1, "stopped alone");
            n.cancel("do not wait for the pool");
            std::future::pending().await
        })
        .outcome()
        .await;
        assert_eq!((live.count(), outcome.report().cancelled), (0, 2));
    });
    release.send(()).unwrap();
}

#[test]
fn scopes_can_be_opened_inside_with_block_on() {
    both_flavours(|| async {
        let handle = tokio::runtime::Handle::current();
        if handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::CurrentThread {
            return; // its tasks need the thread that waits
        }
        let value = nursery!(async |n| -> Result<u8, Cancelled> {
            let child = n.spawn_blocking(move |_cx| {
                handle.block_on(async {
                    nursery!(async |inner| {
                        let child = inner.spawn(async { Ok(7) });
                        Ok::<_, Cancelled>(child.await)
                    })
                    .await
                })
            });
            Ok(child.await)
        })
        .await;
        assert_eq!(value.unwrap(), 7);
    });
}

//! Readiness: `start` gives what the child said when it was ready, or why it never was. Rows TK-ST of the conformance list.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sc_tokio::{
    Cancelled, FailFast, Failure, Limit, OutcomeKind, Ready, Reason, Scope, StartError, Supervise, Verdict, nursery,
    policy_fn,
};
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{Live, Log, both_flavours};

const SECOND: Duration = Duration::from_secs(1);

/// An error that no scope makes.
#[derive(Debug, PartialEq, Eq)]
enum Mine {
    PortTaken(u16),
    Cancelled(Option<Reason>, String),
}

impl From<Cancelled> for Mine {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(Some(cancelled.reason()), cancelled.to_string())
    }
}

#[tokio::test(start_paused = true)]
async fn it_gives_the_value_when_the_child_is_ready_and_the_scope_waits_for_the_rest() {
    let begin = Instant::now();
    let sum = nursery!(async |n| -> Result<u32, Cancelled> {
        let server = async |ready: Ready<u32>| {
            sleep(SECOND).await;
            ready.signal(1);
            sleep(SECOND).await;
            Ok(2)
        };
        let (value, child) = n.start(server).await.map_err(StartError::into_error)?;
        assert_eq!(begin.elapsed(), SECOND);
        Ok(value + child.await)
    })
    .await
    .unwrap();
    assert_eq!(sum, 3);
    assert_eq!(begin.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_handle_is_dropped_when_it_is_ready_goes_on() {
    let begin = Instant::now();
    nursery!(async |n| -> Result<(), Cancelled> {
        let started = n.start(|ready: Ready<()>| async move {
            ready.signal(());
            sleep(SECOND).await;
        });
        started.await.map(drop).map_err(StartError::into_error)
    })
    .await
    .unwrap();
    assert_eq!(begin.elapsed(), SECOND);
}

#[test]
fn an_error_before_the_signal_comes_out_as_it_is_and_the_scope_goes_on() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<u16, Mine> {
            for port in 80..90 {
                let server = async move |ready: Ready<u16>| {
                    yield_now().await;
                    if port < 83 {
                        return Err(Mine::PortTaken(port));
                    }
                    ready.signal(port);
                    Ok(())
                };
                match n.start(server).await {
                    Ok((port, _server)) => return Ok(port),
                    Err(StartError::Error(error)) => assert_eq!(error, Mine::PortTaken(port)),
                    Err(other) => panic!("{other:?}"),
                }
            }
            unreachable!("port 83 was free")
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok, "not even further failures: {outcome:?}");
        assert_eq!(outcome.into_value(), Some(83));
    });
}

#[test]
fn a_panic_before_the_signal_goes_to_the_caller_with_its_payload() {
    both_flavours(|| async {
        let outcome = nursery!(async |n| -> Result<(), Mine> {
            let Err(error) = n.start(async |_ready: Ready<()>| -> Result<(), Mine> { panic!("no socket") }).await
            else {
                unreachable!()
            };
            let StartError::Panic(panic) = &error else { panic!("{error:?}") };
            assert_eq!(panic.message(), Some("no socket"));
            let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| error.into_error()));
            assert_eq!(unwound.unwrap_err().downcast_ref::<&str>(), Some(&"no socket"));
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok);
    });
}

#[test]
fn an_error_after_the_signal_is_judged_by_the_policy() {
    both_flavours(|| async {
        let fail_later = |gate: Arc<Notify>| {
            async move |ready: Ready<u16>| -> Result<(), Mine> {
                ready.signal(1);
                gate.notified().await;
                Err(Mine::PortTaken(1))
            }
        };
        let gate = Arc::new(Notify::new());
        let result = nursery!(async |n| -> Result<(), Mine> {
            let (_, _server) = n.start(fail_later(Arc::clone(&gate))).await.map_err(StartError::into_error)?;
            gate.notify_one();
            pending().await
        })
        .policy(FailFast)
        .await;
        assert_eq!(result, Err(Mine::PortTaken(1)));

        let gate = Arc::new(Notify::new());
        let outcome = nursery!(async |n| -> Result<(), Mine> {
            let (_, server) = n.start(fail_later(Arc::clone(&gate))).await.map_err(StartError::into_error)?;
            gate.notify_one();
            assert!(matches!(server.join().await, Err(Failure::Error(Mine::PortTaken(1)))));
            Ok(())
        })
        .policy(Supervise)
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok, "the handle took it: {outcome:?}");
    });
}

#[test]
fn a_policy_is_asked_about_children_that_were_ready_only() {
    both_flavours(|| async {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let outcome = nursery!(async |n| -> Result<(), Mine> {
            let early = n.start(async |_ready: Ready<()>| -> Result<(), Mine> { Err(Mine::PortTaken(1)) }).await;
            assert!(matches!(early, Err(StartError::Error(Mine::PortTaken(1)))));
            let late = async |ready: Ready<()>| -> Result<(), Mine> {
                ready.signal(());
                Err(Mine::PortTaken(2))
            };
            let ((), late) = n.start(late).await.map_err(StartError::into_error)?;
            assert!(matches!(late.join().await, Err(Failure::Error(Mine::PortTaken(2)))));
            Ok(())
        })
        .policy(policy_fn(move |_exit: &sc_tokio::ChildExit<'_, Mine>| {
            count.fetch_add(1, Ordering::SeqCst);
            Verdict::Continue
        }))
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn an_isolated_child_stays_isolated_when_it_is_ready() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<(), Mine> {
            let server = async |ready: Ready<()>| -> Result<(), Mine> {
                ready.signal(());
                Err(Mine::PortTaken(2))
            };
            let ((), server) = n.task().isolated().start(server).await.map_err(StartError::into_error)?;
            assert!(matches!(server.join().await, Err(Failure::Error(Mine::PortTaken(2)))));
            Ok(())
        })
        .await;
        assert_eq!(result, Ok(()));
    });
}

#[test]
fn a_daemon_can_be_started_and_ends_with_the_work_it_accompanies() {
    both_flavours(|| async {
        let result = nursery!(async |n| -> Result<u32, Mine> {
            let heartbeat = async |ready: Ready<u32>| -> Result<(), Mine> {
                ready.signal(5);
                pending().await
            };
            let (beats, _) = n.task().daemon().start(heartbeat).await.map_err(StartError::into_error)?;
            Ok(beats)
        })
        .await;
        assert_eq!(result, Ok(5));
    });
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ends_without_a_signal_is_an_error_that_names_it() {
    let result = nursery!(async |n| -> Result<(), Mine> {
        let Err(error) = n.task().name("server").start(async |_: Ready<()>| Ok(())).await else { unreachable!() };
        let StartError::Unsignalled(unsignalled) = &error else { panic!("{error:?}") };
        assert_eq!(unsignalled.member().name(), Some("server"));
        assert_eq!(unsignalled.member().place().unwrap().file(), file!());
        let text = unsignalled.to_string();
        assert!(text.starts_with("child `server` (") && text.contains("start.rs"), "{text}");
        assert!(text.ends_with("ended without signalling that it was ready"), "{text}");
        let Mine::Cancelled(reason, text) = error.into_error() else { unreachable!() };
        assert_eq!(reason, Some(Reason::AwaitedChild));
        assert!(text.ends_with("ended without signalling that it was ready"), "{text}");
        Ok(())
    })
    .await;
    assert_eq!(result, Ok(()), "it was no failure of the scope");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_ready_is_found_out_when_the_child_ends() {
    let begin = Instant::now();
    let live = Live::new();
    let output = live.clone();
    nursery!(async |n| -> Result<(), Cancelled> {
        let forgetful = async move |ready: Ready<()>| {
            drop(ready);
            sleep(SECOND).await;
            Ok(output.one())
        };
        assert!(matches!(n.start(forgetful).await, Err(StartError::Unsignalled(_))));
        assert_eq!(begin.elapsed(), SECOND, "as with Trio, the end is waited for");
        assert_eq!(live.count(), 0, "and the output that nobody can have is dropped");
        Ok(())
    })
    .await
    .unwrap();
}

#[test]
fn a_signal_after_the_child_has_ended_says_nothing() {
    both_flavours(|| async {
        let live = Live::new();
        nursery!(async |n| -> Result<(), Cancelled> {
            let (send, receive) = oneshot::channel();
            let started = n.start(async move |ready: Ready<_>| {
                send.send(ready).map_err(drop).unwrap();
                Ok(())
            });
            let ready = receive.await.unwrap();
            assert!(matches!(started.await, Err(StartError::Unsignalled(_))));
            ready.signal(live.one());
            assert_eq!(live.count(), 0);
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_ready_can_be_handed_to_somebody_else() {
    both_flavours(|| async {
        nursery!(async |n| -> Result<(), Cancelled> {
            let server = async |n: &Scope<Cancelled>, ready: Ready<u8>| -> Result<(), Cancelled> {
                n.spawn_blocking(move |_cx| ready.signal(3));
                pending().await
            };
            let (value, child) = n.start_with(server).await.map_err(StartError::into_error)?;
            assert_eq!(value, 3);
            child.cancel().await;
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_child_of_a_cancelled_scope_is_not_started() {
    both_flavours(|| async {
        let polled = Arc::new(AtomicUsize::new(0));
        let live = Live::new();
        let log = Log::new();
        let result = nursery!(async |n| -> Result<(), Cancelled> {
            n.cancel("closed");
            let (count, guard) = (Arc::clone(&polled), live.one());
            let started = n.start(async move |ready: Ready<()>| {
                let _guard = guard;
                count.fetch_add(1, Ordering::SeqCst);
                ready.signal(());
                Ok(())
            });
            assert_eq!(live.count(), 0, "refused children are dropped at once (P7)");
            // Ready without anybody's help: the body is not polled a second time.
            let mut started = Box::pin(started);
            let std::task::Poll::Ready(Err(StartError::Cancelled(cancelled))) = futures::poll!(started.as_mut()) else {
                unreachable!()
            };
            log.add(cancelled.to_string());
            Err(cancelled)
        })
        .await;
        assert!(result.is_err());
        assert!(log.entries()[0].contains("closed"));
        assert_eq!(polled.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_service_can_be_called_without_being_started() {
    both_flavours(|| async {
        async fn service(ready: Ready<u16>) -> Result<u16, Cancelled> {
            ready.signal(80);
            Ok(1)
        }
        assert_eq!(service(Ready::ignored()).await.unwrap(), 1);
        nursery!(async |n| -> Result<(), Cancelled> {
            let (port, child) = n.start(service).await.map_err(StartError::into_error)?;
            assert_eq!((port, child.await), (80, 1));
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn several_children_can_be_started_at_once() {
    let begin = Instant::now();
    nursery!(async |n| -> Result<(), Cancelled> {
        let service = |after: u32| {
            n.start(async move |ready: Ready<u32>| {
                sleep(after * SECOND).await;
                ready.signal(after);
                Ok(())
            })
        };
        let (one, two) = (service(1), service(2));
        let (two, one) = (two.await.map_err(StartError::into_error)?.0, one.await.map_err(StartError::into_error)?.0);
        assert_eq!((one, two, begin.elapsed()), (1, 2, 2 * SECOND));
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_awaited_by_reference_survives_a_select() {
    nursery!(async |n| -> Result<(), Cancelled> {
        let mut started = n.start(async |ready: Ready<u8>| {
            sleep(10 * SECOND).await;
            ready.signal(9);
            Ok(())
        });
        let mut ticks = 0;
        let value = loop {
            tokio::select! {
                ready = &mut started => break ready.map_err(StartError::into_error)?.0,
                () = sleep(3 * SECOND) => ticks += 1,
            }
        };
        assert_eq!((value, ticks), (9, 3));
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pending_start_keeps_the_scope_open() {
    let begin = Instant::now();
    let log = Log::new();
    nursery!(async |n| -> Result<(), Cancelled> {
        let log = log.clone();
        n.spawn_with(async move |n: &Scope<Cancelled>| -> Result<(), Cancelled> {
            let slow = async |ready: Ready<u8>| {
                sleep(SECOND).await;
                ready.signal(1);
                sleep(SECOND).await;
                Ok(())
            };
            let (_, _child) = n.start(slow).await.map_err(StartError::into_error)?;
            log.add(format!("ready after {:?}", begin.elapsed()));
            Ok(())
        });
        Ok(()) // the body is done long before
    })
    .await
    .unwrap();
    assert_eq!(log.entries(), ["ready after 1s"]);
    assert_eq!(begin.elapsed(), 2 * SECOND);
}

#[test]
fn a_child_that_is_being_started_starts_another_one() {
    both_flavours(|| async {
        // The inner one fails: so does the outer one, and its starter has the error as it was.
        let outcome = nursery!(async |n| -> Result<(), Mine> {
            let outer = async |n: &Scope<Mine>, ready: Ready<()>| -> Result<(), Mine> {
                let inner = async |_: Ready<()>| -> Result<(), Mine> { Err(Mine::PortTaken(1)) };
                n.start(inner).await.map_err(StartError::into_error)?;
                ready.signal(());
                Ok(())
            };
            let Err(StartError::Error(error)) = n.start_with(outer).await else { unreachable!() };
            assert_eq!(error, Mine::PortTaken(1));
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome:?}");

        // The inner one was ready, and fails while the outer one is not: it is the scope's.
        let gate = Arc::new(Notify::new());
        let result = nursery!(async |n| -> Result<(), Mine> {
            let outer = async move |n: &Scope<Mine>, _ready: Ready<()>| -> Result<(), Mine> {
                let waits = Arc::clone(&gate);
                let inner = async move |ready: Ready<()>| -> Result<(), Mine> {
                    ready.signal(());
                    waits.notified().await;
                    Err(Mine::PortTaken(2))
                };
                let ((), _inner) = n.start(inner).await.map_err(StartError::into_error)?;
                gate.notify_one();
                pending().await
            };
            n.start_with(outer).await.map(drop).map_err(StartError::into_error)
        })
        .await;
        assert_eq!(result, Err(Mine::PortTaken(2)));
    });
}

#[test]
fn a_child_that_is_being_started_has_a_nursery_of_its_own() {
    both_flavours(|| async {
        let live = Live::new();
        let guards = live.clone();
        let outcome = nursery!(async |n| -> Result<(), Mine> {
            let outer = async move |_ready: Ready<()>| -> Result<(), Mine> {
                nursery!(async |own| -> Result<(), Mine> {
                    let guard = guards.one();
                    let helper = async move |ready: Ready<()>| -> Result<(), Mine> {
                        let _guard = guard;
                        ready.signal(());
                        pending().await
                    };
                    let ((), _helper) = own.start(helper).await.map_err(StartError::into_error)?;
                    Err(Mine::PortTaken(3))
                })
                .await
            };
            let Err(StartError::Error(error)) = n.start(outer).await else { unreachable!() };
            assert_eq!(error, Mine::PortTaken(3));
            assert_eq!(live.count(), 0, "its helper has ended with it");
            Ok(())
        })
        .outcome()
        .await;
        assert_eq!(outcome.kind(), OutcomeKind::Ok, "{outcome:?}");
    });
}

#[test]
fn a_child_that_is_being_started_takes_a_seat_and_keeps_it() {
    both_flavours(|| async {
        let limit = Limit::new(1);
        nursery!(async |n| -> Result<(), Cancelled> {
            let blocker = n.spawn(pending::<()>());
            let mut started = n.start(async |ready: Ready<()>| {
                ready.signal(());
                pending::<Result<(), Cancelled>>().await
            });
            for _ in 0..10 {
                assert!(futures::poll!(&mut started).is_pending(), "it waits for its seat");
                yield_now().await;
            }
            blocker.cancel().await;
            let ((), child) = started.await.map_err(StartError::into_error)?;
            assert_eq!(limit.available(), 0);
            child.cancel().await;
            while limit.available() == 0 {
                yield_now().await;
            }
            Ok(())
        })
        .limit(&limit)
        .await
        .unwrap();
    });
}

#[test]
fn a_child_that_starts_another_one_under_its_own_limit_lends_its_seat() {
    both_flavours(|| async {
        let sum = nursery!(async |n| -> Result<u8, Cancelled> {
            let starter = n.spawn_with(async |n: &Scope<Cancelled>| -> Result<u8, Cancelled> {
                let short = async |ready: Ready<u8>| {
                    yield_now().await;
                    ready.signal(1);
                    yield_now().await;
                    Ok(2)
                };
                let (value, child) = n.start(short).await.map_err(StartError::into_error)?;
                Ok(value + child.await)
            });
            Ok(starter.await)
        })
        .limit(1)
        .await
        .unwrap();
        assert_eq!(sum, 3);
    });
}

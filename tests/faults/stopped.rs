//! Programs that are stopped at every single poll, in every kind of child and every way there is (P1, P3, P9, P10); and
//! programs whose runtime ends at every single poll.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use sc_tokio::{Cancelled, Nursery, nursery};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::features::FEATURES;
use crate::programs::{PROGRAMS, Program, World};
use crate::support::{one_thread, parallel, paused, two_workers, watched};

/// What the program runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Borrowed,
    Ambient,
    Daemon,
    Graceful,
    Timed,
    Shielded,
    ShieldedAndTimed,
    Started,
}

/// How it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    ByHandle,
    WithAllPresent,
    WithScope,
    ByDeadline,
    WithFuture,
}

const KINDS: &[Kind] = &[
    Kind::Plain,
    Kind::Borrowed,
    Kind::Ambient,
    Kind::Daemon,
    Kind::Graceful,
    Kind::Timed,
    Kind::Shielded,
    Kind::ShieldedAndTimed,
    Kind::Started,
];
const HOWS: &[How] = &[How::ByHandle, How::WithAllPresent, How::WithScope, How::ByDeadline, How::WithFuture];
/// A shield of each layer, and graces.
const LONGEST: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// Says when a program was polled so many times, or has ended before that, and goes on.
struct Watched {
    program: BoxFuture<'static, ()>,
    polls: usize,
    seen: Seen,
}

#[derive(Clone, Default)]
struct Seen(Arc<(Notify, AtomicBool)>);

impl Seen {
    /// Whether the program was polled so many times and goes on.
    async fn reached(&self) -> bool {
        self.0.0.notified().await;
        !self.0.1.load(Ordering::SeqCst)
    }
}

impl Future for Watched {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let polled = this.program.as_mut().poll(cx);
        if polled.is_ready() {
            this.seen.0.1.store(true, Ordering::SeqCst);
        }
        if this.polls == 0 || polled.is_ready() {
            this.seen.0.0.notify_one();
        }
        this.polls = this.polls.wrapping_sub(1);
        polled
    }
}

/// Runs a program in a child, stops it there, and waits for its end. Notes whether it got so far, before the stop: that may cut
/// this short.
async fn in_child(n: &Nursery<'_, Cancelled>, kind: Kind, how: How, code: Watched, stopped: &AtomicBool) {
    let seen = code.seen.clone();
    let reached = async || {
        let is_reached = how != How::WithFuture && seen.reached().await;
        stopped.store(is_reached, Ordering::SeqCst);
    };
    let task = n.task();
    let child = match kind {
        Kind::Plain => task.spawn(code),
        Kind::Borrowed => task.spawn_borrowed(code),
        Kind::Daemon => task.daemon().spawn(code),
        Kind::Graceful => task.grace(Duration::from_millis(1)).spawn(code),
        Kind::Timed => task.timeout(2 * SECOND).spawn(code),
        Kind::Shielded => task.shielded(SECOND).spawn(code),
        Kind::ShieldedAndTimed => task.shielded(SECOND).timeout(2 * SECOND).spawn(code),
        Kind::Started => {
            let start = task.start(async |ready: sc_tokio::Ready<()>| {
                code.await;
                ready.signal(());
            });
            if how == How::ByHandle {
                tokio::select! { biased; () = reached() => {}, _ = start => {} }
                return;
            }
            reached().await;
            stop(n, how);
            let _ = start.await;
            return;
        }
        Kind::Ambient => {
            let task = sc_tokio::spawn(code);
            reached().await;
            match how {
                How::ByHandle => task.abort(),
                how => stop(n, how),
            }
            let _ = task.await;
            return;
        }
    };
    reached().await;
    if how == How::ByHandle {
        child.cancel().await;
    } else {
        stop(n, how);
        let _ = child.join().await;
    }
}

fn stop(n: &Nursery<'_, Cancelled>, how: How) {
    match how {
        How::ByHandle | How::WithFuture => {}
        How::WithAllPresent => n.cancel_children("all of them"),
        How::WithScope => n.cancel("the scope"),
        How::ByDeadline => n.set_deadline(Instant::now()).expect("it has not passed"),
    }
}

async fn run(program: Program, kind: Kind, how: How, polls: usize) -> bool {
    let (world, seen, started) = (World::default(), Seen::default(), Instant::now());
    let code = Watched { program: program(world.clone()), polls, seen: seen.clone() };
    let stopped = AtomicBool::new(false);
    let enclosing = nursery!(async |_n| -> Result<(), Cancelled> {
        let inner = nursery!(async |n: &Nursery<'_, Cancelled>| {
            in_child(n, kind, how, code, &stopped).await;
            Ok(())
        })
        .timeout(Duration::from_secs(1_000));
        let drop_it = async {
            if how != How::WithFuture {
                std::future::pending::<()>().await;
            }
            seen.reached().await
        };
        tokio::select! {
            biased;
            _ = inner.outcome() => {}
            reached = drop_it => stopped.store(reached, Ordering::SeqCst),
        }
        Ok(())
    });
    enclosing.await.expect("what is below was stopped");
    assert_eq!(world.tasks.count(), 0, "values of child tasks are alive");
    assert_eq!(world.futures.count(), 0, "values of futures are alive");
    assert_eq!(world.unrun(), 0, "finalizers have not run");
    assert!(started.elapsed() < LONGEST, "it took {:?}", started.elapsed());
    stopped.into_inner()
}

async fn every_poll(kind: Kind, how: How, least: usize) {
    for (name, program) in PROGRAMS.iter().chain(FEATURES) {
        for polls in 0..200 {
            let report = crate::support::OnDrop::new(move || {
                if std::thread::panicking() {
                    eprintln!("{name}, {kind:?}, {how:?}, poll {polls}");
                }
            });
            let stopped = run(*program, kind, how, polls).await;
            drop(report);
            if !stopped {
                assert!(polls >= least, "{name}, {kind:?}, {how:?}: over after {polls} polls");
                break;
            }
            assert!(polls < 199, "{name} does not end by itself");
        }
    }
}

/// P1, P9, P10.
#[test]
fn a_program_stopped_at_any_poll_leaves_nothing_behind() {
    for kind in KINDS {
        for how in HOWS {
            paused(move || every_poll(*kind, *how, 2));
        }
    }
}

/// P1, P9, P10.
#[test]
fn a_program_stopped_at_any_poll_leaves_nothing_behind_on_two_threads() {
    for kind in KINDS {
        for how in HOWS {
            // Everything may be done before the program is polled again.
            parallel(move || every_poll(*kind, *how, 0));
        }
    }
}

/// P10: nothing hangs, nothing stays alive.
#[test]
fn a_runtime_that_ends_at_any_poll_of_a_program_drops_everything() {
    watched(|| {
        for (name, program) in PROGRAMS.iter().chain(FEATURES) {
            for runtime in [one_thread as fn() -> tokio::runtime::Runtime, two_workers] {
                for polls in 0..12 {
                    let (world, runtime) = (World::default(), runtime());
                    let seen = Seen::default();
                    drop(runtime.spawn(Watched { program: program(world.clone()), polls, seen: seen.clone() }));
                    runtime.block_on(seen.reached());
                    drop(runtime);
                    let began = std::time::Instant::now();
                    while world.tasks.count() + world.futures.count() > 0 {
                        assert!(began.elapsed() < Duration::from_secs(10), "{name}, poll {polls}: something is alive");
                        std::thread::yield_now();
                    }
                }
            }
        }
    });
}

//! Scopes whose futures are dropped, forgotten or carried away at every single poll (P1, P3, P10).

use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use sc_tokio::{Cancelled, nursery};

use crate::features::FEATURES;
use crate::programs::{PROGRAMS, Program, World};
use crate::support::{parallel, paused, until};

/// What happens to the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Dropped within the poll after the last.
    Dropped,
    /// Dropped as soon as the last poll has returned.
    DroppedAtOnce,
    Forgotten,
    /// Left outside of the frame that opened the scopes, and dropped after the end.
    Carried,
    /// The same, and polled to its end there.
    CarriedAndPolled,
}

/// The frame that opens the program's scopes.
#[derive(Debug, Clone, Copy)]
enum Frame {
    Body,
    Child,
    Borrowed,
    NestedBody,
}

type Shelf = Arc<Mutex<Option<BoxFuture<'static, ()>>>>;

/// Polls a program so many times, then lets it meet its fate. Gives whether it was done before.
struct Doomed {
    program: Option<BoxFuture<'static, ()>>,
    polls: usize,
    fate: Fate,
    shelf: Shelf,
}

impl Doomed {
    fn meet_fate(&mut self) -> bool {
        let program = self.program.take().expect("a program meets its fate once");
        match self.fate {
            Fate::Dropped | Fate::DroppedAtOnce => drop(program),
            Fate::Forgotten => std::mem::forget(program),
            Fate::Carried | Fate::CarriedAndPolled => *self.shelf.lock().unwrap() = Some(program),
        }
        false
    }
}

impl Future for Doomed {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let this = &mut *self;
        if this.polls == 0 {
            return Poll::Ready(this.meet_fate());
        }
        this.polls -= 1;
        let program = this.program.as_mut().expect("not polled after the end");
        if program.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        if this.polls == 0 && this.fate == Fate::DroppedAtOnce {
            return Poll::Ready(this.meet_fate());
        }
        Poll::Pending
    }
}

/// Runs a program in a frame below a scope, and checks what is left when that scope has resolved.
async fn run(program: Program, frame: Frame, fate: Fate, polls: usize) -> bool {
    let world = World::default();
    let shelf = Shelf::default();
    let doomed = Doomed { program: Some(program(world.clone())), polls, fate, shelf: Arc::clone(&shelf) };
    let enclosing = nursery!(async |n| -> Result<bool, Cancelled> {
        Ok(match frame {
            Frame::Body => doomed.await,
            Frame::Child => n.spawn(async { Ok(doomed.await) }).await,
            Frame::Borrowed => n.spawn_borrowed(async { Ok(doomed.await) }).await,
            Frame::NestedBody => nursery!(async move |_n| Ok::<_, Cancelled>(doomed.await)).await?,
        })
    });
    let done = enclosing.await.expect("the fate of a scope is not its caller's");
    assert_eq!(world.tasks.count(), 0, "values of child tasks are alive");
    assert_eq!(world.unrun(), 0, "finalizers have not run");
    let carried = shelf.lock().unwrap().take();
    match carried {
        Some(carried) if fate == Fate::CarriedAndPolled => carried.await,
        carried => drop(carried),
    }
    if done || fate != Fate::Forgotten {
        assert_eq!(world.futures.count(), 0, "values of the scopes' futures are alive");
    }
    // What was first polled out here had nobody above it to wait.
    until(|| world.tasks.count() == 0 && world.unrun() == 0).await;
    done
}

/// All programs in a frame, each with one more poll until it is done.
async fn every_poll(frame: Frame, fate: Fate, least: usize) {
    for (name, program) in PROGRAMS.iter().chain(FEATURES) {
        let mut polls = 0;
        loop {
            CASE.with(|case| case.set(Some((name, polls))));
            if run(*program, frame, fate, polls).await {
                break;
            }
            polls += 1;
            assert!(polls < 1_000, "{name} does not end by itself");
        }
        assert!(polls >= least, "{name} has no await to be dropped at");
    }
}

thread_local! {
    static CASE: std::cell::Cell<Option<(&'static str, usize)>> = const { std::cell::Cell::new(None) };
}

#[track_caller]
fn in_virtual_time(fate: Fate) {
    let place = Location::caller();
    for frame in [Frame::Body, Frame::Child, Frame::Borrowed, Frame::NestedBody] {
        paused(move || async move {
            let _report = crate::support::OnDrop::new(move || {
                if std::thread::panicking() {
                    eprintln!("{place}: {frame:?}, {fate:?}, {:?}", CASE.with(std::cell::Cell::get));
                }
            });
            every_poll(frame, fate, 3).await;
        });
    }
}

fn on_two_threads(fate: Fate) {
    for frame in [Frame::Body, Frame::Child, Frame::Borrowed, Frame::NestedBody] {
        // Everything may be done before the future is polled again.
        parallel(move || every_poll(frame, fate, 1));
    }
}

/// P3.
#[test]
fn a_scope_dropped_at_any_poll_is_waited_for_by_the_enclosing_scope() {
    in_virtual_time(Fate::Dropped);
}

/// P3.
#[test]
fn a_scope_dropped_at_any_poll_is_waited_for_on_two_threads() {
    on_two_threads(Fate::Dropped);
}

/// P3: also before anything that the poll started could move.
#[test]
fn a_scope_dropped_right_after_any_poll_is_waited_for_by_the_enclosing_scope() {
    in_virtual_time(Fate::DroppedAtOnce);
}

/// P3.
#[test]
fn a_scope_dropped_right_after_any_poll_is_waited_for_on_two_threads() {
    on_two_threads(Fate::DroppedAtOnce);
}

/// P3.
#[test]
fn the_tasks_of_a_scope_forgotten_at_any_poll_end_with_the_frame_that_opened_it() {
    in_virtual_time(Fate::Forgotten);
}

/// P3.
#[test]
fn the_tasks_of_a_scope_forgotten_at_any_poll_end_on_two_threads() {
    on_two_threads(Fate::Forgotten);
}

/// P3.
#[test]
fn the_tasks_of_a_scope_carried_away_at_any_poll_end_with_the_frame_that_opened_it() {
    in_virtual_time(Fate::Carried);
}

/// P3.
#[test]
fn the_tasks_of_a_scope_carried_away_at_any_poll_end_on_two_threads() {
    on_two_threads(Fate::Carried);
}

/// P3, P5: whoever goes on polling gets an answer.
#[test]
fn a_scope_carried_away_at_any_poll_can_be_polled_to_its_end() {
    in_virtual_time(Fate::CarriedAndPolled);
}

/// P3, P5.
#[test]
fn a_scope_carried_away_at_any_poll_can_be_polled_to_its_end_on_two_threads() {
    on_two_threads(Fate::CarriedAndPolled);
}

//! `timeout`: a child whose own deadline is its failure.

use std::fmt::Debug;
use std::future::pending;
use std::panic::Location;
use std::time::Duration;

use sc_core::{Cancelled, Failure, Name, Reason};

use super::ChildOutput;
use crate::drive::{Opening, drive};
use crate::frame::{self, Dead};
use crate::nursery::Nursery;
use crate::open::{Options, Setup};

/// A child's own deadline, and what it is called when it is missed.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) limit: Duration,
    /// From the expiry to the drop; `None`: none.
    pub(crate) grace: Option<Duration>,
    pub(crate) name: Option<Name>,
    pub(crate) place: &'static Location<'static>,
}

/// Runs the code of a child in a scope with a deadline, so that what it calls and what it spawns inherits that.
///
/// Once the deadline has cut the code short, this ends the frame of the child, as awaiting a dead child does, with the
/// notice for a failure. A cancellation that came from above is not the child's: whoever told this scope tells the child.
pub(crate) async fn limited<F, E>(bound: Bound, code: F) -> Result<<F::Output as ChildOutput<E>>::Value, E>
where
    F: Future,
    F::Output: ChildOutput<E>,
    E: Debug + Send + 'static,
{
    let Bound { limit, grace, name, place } = bound;
    let options = Options { name, timeout: Some(limit), grace, ..Options::default() };
    let setup = Setup { options: Some(Box::new(options)), ..Setup::at(place) };
    let scope = async move {
        let nursery = Nursery::<E>::open();
        drive(&nursery, async move { code.await.into_result() }).await
    };
    let ended = Opening::new(setup, scope).await;
    let awaited_dead = ended.awaited_dead();
    match ended.into_result_of_child() {
        Ok(value) => return Ok(value),
        Err(Failure::Error(error)) => return Err(error),
        Err(Failure::Panic(panic)) => panic.resume(),
        Err(Failure::Cancelled(cancelled)) => end_frame(cancelled, awaited_dead),
        Err(_) => unreachable!("a scope records the failures it owns as themselves"),
    }
    pending().await
}

/// Ends the frame that runs here, as a dead child does, with a cancellation that began in the scope around its code. One that
/// came from above ends it only if the code awaited a dead child (`awaited_dead`): then whatever the grace.
pub(crate) fn end_frame(cancelled: Cancelled, awaited_dead: bool) {
    let is_inherited = cancelled.is_inherited();
    if is_inherited && !awaited_dead {
        return;
    }
    // It awaited a child that could give no value: the error stays with its owner.
    let is_own = !is_inherited && cancelled.reason() != Reason::AwaitedChild;
    let failure = is_own.then_some(Failure::Cancelled(cancelled));
    let marked = frame::mark_dead(Dead { failure });
    debug_assert!(marked.is_ok(), "the code of a child runs in its frame, and this is the frame's first mark");
}

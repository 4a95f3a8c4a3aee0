//! Shields: code that a cancellation from outside does not stop at once.
//!
//! A shield is a scope that its surroundings tell nothing. When they are cancelled, its time begins to run, and the
//! frames it is inside of are not dropped before it is done or its time is over. Those frames are on a list in the
//! books of their scopes ([`Shielded`]), since it is there that a frame asks whether it is to stop, and since a shield that
//! nobody polls any more has to end in time all the same.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use sc_core::{Cancelled, Deadline, ScopeId};

use crate::books::Books;
use crate::builder::NurseryBuilder;
use crate::drive::drive;
use crate::frame::{self, Opener, Who};
use crate::node::Node;
use crate::nursery::Nursery;
use crate::rt::Instant;
use crate::work::Work;

/// The body of a scope as a member of it; children have their numbers.
pub(crate) const BODY: u64 = u64::MAX;

/// Runs a future that a cancellation of the surrounding scope does not stop before `limit` is over.
///
/// For a few steps that must not be left half done, as the end of a transaction. Inside it, and in everything that is
/// spawned there, nothing of the surroundings' cancellation and deadline is seen: [`is_cancelled`](crate::is_cancelled) is false,
/// [`deadline`](crate::deadline) is `None`. When the surroundings are cancelled, the time begins to run: from then on the deadline inside
/// says how much of `limit` is left ([`Current::pending_cancellation`](crate::Current::pending_cancellation) says why), and
/// the frame around is not dropped, whatever its grace, before the shield is done or the time is over. Right after the shield the
/// frame is dropped at its next await, so that the value can still be used up to there.
///
/// A shield is against the surroundings only: a failure or a cancellation inside works as in any scope. What it is
/// not proof against:
///
/// | what happens | `shield(d, ..)` | `task().shielded(d)` | [`spawn_shielded`](crate::spawn_shielded) |
/// |---|---|---|---|
/// | the scope or an ancestor is cancelled, or a deadline passes | goes on, up to `d` | goes on, up to `d` | goes on, up to `d` |
/// | the child is cancelled: `Child::cancel`, `cancel_children` | goes on, up to `d` | goes on, up to `d` | goes on, up to `d` |
/// | the scope's future is dropped | in a child of its own task: goes on; in the body or a borrowed child: dropped | goes on, up to `d` | goes on, up to `d` |
/// | its own future is dropped (`select!`, a time-out) | dropped | | |
/// | the frame awaits a dead child beside it | dropped | | |
/// | `abort` of Tokio's handle, or by a join set | dropped | | dropped |
/// | the runtime ends | dropped | dropped | dropped |
///
/// Without a timer in the runtime it is not bounded. Trio has shielded cancel scopes, Kotlin `NonCancellable`; here a shield always has
/// a bound.
///
/// # Errors
///
/// The notice of the cancellation, if the time was over before the future was done. A `limit` of zero shields nothing.
///
/// # Panics
///
/// Goes on with the future's panic.
///
/// # Cancel safety
///
/// Dropping it drops the future and cancels what it spawned.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sc_tokio::{Cancelled, nursery, shield};
///
/// # async fn debit() {}
/// # async fn credit() { tokio::task::yield_now().await }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let result = nursery!(async |n| {
///     n.cancel("the client has left");
///     shield(Duration::from_secs(1), async {
///         debit().await;
///         credit().await;
///     })
///     .await?;
///     Ok::<_, Cancelled>("transferred")
/// })
/// .await;
/// assert_eq!(result.unwrap(), "transferred"); // nothing was cut short
/// # }
/// ```
#[track_caller]
pub fn shield<F: Future>(limit: Duration, future: F) -> impl Future<Output = Result<F::Output, Cancelled>> {
    shield_at(Location::caller(), limit, future)
}

fn shield_at<F: Future>(
    place: &'static Location<'static>,
    limit: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Cancelled>> {
    let scope = NurseryBuilder::new(async move {
        let nursery = Nursery::<Cancelled>::open();
        drive(&nursery, async move { Ok(future.await) }).await
    });
    IntoFuture::into_future(scope.opened_at(place).shielding(limit))
}

/// The code of a child that is shielded as a whole.
pub(crate) async fn whole<F: Future>(limit: Duration, future: F, place: &'static Location<'static>) -> F::Output {
    if let Ok(output) = shield_at(place, limit, future).await {
        return output;
    }
    // The time is over: from here on the child stops as any other.
    if let Some(Opener { node, who: Who::Child { id, .. }, .. }) = frame::current() {
        node.unshield(id, None);
    }
    std::future::pending().await
}

/// What makes a scope a shield.
#[derive(Debug)]
pub(crate) struct Shield {
    limit: Duration,
    pending: Option<Pending>,
    /// The frames around it, in whose books it is listed.
    frames: Vec<(Arc<Node>, u64)>,
}

/// The cancellation that a shield keeps out, and until when (`None`: for ever).
#[derive(Debug)]
struct Pending {
    cancelled: Cancelled,
    at: Option<Instant>,
}

impl Shield {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, pending: None, frames: Vec::new() }
    }

    /// When its time is over, if that runs.
    pub(crate) fn over_at(&self) -> Option<Instant> {
        self.pending.as_ref().and_then(|pending| pending.at)
    }

    pub(crate) fn into_frames(self) -> Vec<(Arc<Node>, u64)> {
        self.frames
    }

    pub(crate) fn pending(&self) -> Option<&Cancelled> {
        self.pending.as_ref().map(|pending| &pending.cancelled)
    }
}

/// The members of a scope whose frames contain a shield, or which are shielded as a whole.
#[derive(Debug, Default)]
pub(crate) struct Shielded(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    member: u64,
    /// `None`: the member as a whole.
    shield: Option<Arc<Node>>,
    over_at: Option<Instant>,
}

impl Shielded {
    pub(crate) fn has(&self, member: u64) -> bool {
        self.0.iter().any(|entry| entry.member == member)
    }

    pub(crate) fn enter(&mut self, member: u64, shield: Option<Arc<Node>>) {
        self.0.push(Entry { member, shield, over_at: None });
    }

    /// Takes one off the list. To be dropped without the lock.
    #[must_use]
    pub(crate) fn leave(&mut self, member: u64, shield: Option<ScopeId>) -> Option<Arc<Node>> {
        let id_of = |entry: &Entry| entry.shield.as_ref().map(|node| node.id());
        let index = self.0.iter().position(|entry| entry.member == member && id_of(entry) == shield)?;
        self.0.swap_remove(index).shield
    }

    fn expect_end(&mut self, shield: ScopeId, at: Instant) {
        for entry in &mut self.0 {
            if entry.shield.as_ref().is_some_and(|node| node.id() == shield) {
                entry.over_at = Some(at);
            }
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().filter_map(|entry| entry.over_at).min()
    }

    /// The shields whose time is over. Each is given once.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Arc<Node>> {
        let due = self.0.iter_mut().filter(|entry| entry.over_at.is_some_and(|at| at <= now));
        due.filter_map(|entry| {
            entry.over_at = None;
            entry.shield.clone()
        })
        .collect()
    }
}

/// The frames that are polled and dropped together with the one that opens a shield: that frame, and those around it up to
/// the next task.
fn frames_around(opener: &Opener) -> Vec<(Arc<Node>, u64)> {
    let mut frames = Vec::new();
    let (mut node, mut who, mut in_future) = (Arc::clone(&opener.node), opener.who, opener.in_future);
    loop {
        let member = match who {
            Who::Body => BODY,
            Who::Child { id, .. } => id,
        };
        frames.push((Arc::clone(&node), member));
        if !in_future {
            return frames;
        }
        let up = node.books().opened_by();
        let Some(up) = up else { return frames };
        (node, who, in_future) = (up.node, up.who, up.in_future);
    }
}

impl Node {
    /// Lists a shield in the books of the frames around it.
    pub(crate) fn shields(self: &Arc<Self>, opener: &Opener) {
        let frames = frames_around(opener);
        for (node, member) in &frames {
            node.books().shielded.enter(*member, Some(Arc::clone(self)));
        }
        if let Some(shield) = &mut self.books().shield {
            shield.frames = frames;
        }
    }

    /// The surroundings of a shield are cancelled, since `since`: its time runs. Whether it is one.
    pub(crate) fn begin_end_of_shield(
        self: &Arc<Self>,
        books: &mut Books,
        cancelled: &Cancelled,
        since: Instant,
        work: &mut Work,
    ) -> bool {
        let Some(shield) = &mut books.shield else { return false };
        if shield.pending.is_some() {
            return true;
        }
        let at = since.checked_add(shield.limit);
        shield.pending = Some(Pending { cancelled: cancelled.clone(), at });
        let Some(at) = at else { return true };
        if at <= Instant::now() {
            self.end_shield(books, work);
            return true;
        }
        for (node, _) in &shield.frames {
            work.expect_end_of_shield(node, self.id(), at);
        }
        // Not of its own: whoever looks inside sees how long is left, and the expiry is the outer cancellation's.
        let deadline = Deadline::new(at.into_std(), cancelled.origin().clone(), Some(shield.limit));
        let effects = books.scope.inherit_deadline(Some(deadline));
        books.apply(self, effects, work);
        true
    }

    /// The time of a shield is over: the outer cancellation comes through.
    fn end_shield(self: &Arc<Self>, books: &mut Books, work: &mut Work) {
        let Some(shield) = books.shield.take() else { return };
        let Shield { pending, frames, .. } = *shield;
        work.unshield(frames, self);
        if let Some(Pending { cancelled, .. }) = pending {
            let now = Instant::now().into_std();
            let effects = books.scope.inherit(&cancelled, Some(now), now);
            books.apply(self, effects, work);
        }
    }

    /// Ends the shield if its time is over, and those inside whose time is.
    pub(crate) fn tick_shields(self: &Arc<Self>, now: Instant) {
        let mut work = Work::default();
        let due = {
            let mut books = self.books();
            if books.shield.as_ref().and_then(|shield| shield.over_at()).is_some_and(|at| at <= now) {
                self.end_shield(&mut books, &mut work);
            }
            books.shielded.due(now)
        };
        work.run();
        for shield in due {
            shield.tick_shields(now);
        }
    }

    /// A shield that this scope is around of will be over at this instant.
    pub(crate) fn expect_end_of_shield(&self, shield: ScopeId, at: Instant) {
        self.books().shielded.expect_end(shield, at);
        self.rearm();
    }

    /// A member of this scope is not, or no longer so much, shielded.
    pub(crate) fn unshield(self: &Arc<Self>, member: u64, shield: Option<ScopeId>) {
        let mut work = Work::default();
        let left = {
            let mut books = self.books();
            let left = books.shielded.leave(member, shield);
            if books.scope.cancelled().is_some() || self.has_stops() {
                self.raise(0);
                books.changed = true;
                work.wake(books.present.take_wakers());
                work.wake(books.carrier.take());
                let stopped = books.scope.is_stopped() || books.stops.told(member, false).is_some_and(|told| told.due);
                if stopped && !books.shielded.has(member) {
                    work.abort(books.ambient.take_one(member));
                }
            }
            left
        };
        drop(left);
        work.run();
    }
}

/// Keeps a member of a scope shielded as a whole while it lives.
#[derive(Debug)]
pub(crate) struct ShieldedMember {
    node: Arc<Node>,
    member: u64,
}

impl ShieldedMember {
    pub(crate) fn new(node: &Arc<Node>, member: u64) -> Self {
        node.books().shielded.enter(member, None);
        Self { node: Arc::clone(node), member }
    }
}

impl Drop for ShieldedMember {
    fn drop(&mut self) {
        self.node.unshield(self.member, None);
    }
}

//! Shields: code that a cancellation from outside does not stop at once.
//!
//! A shield is a scope that its surroundings tell nothing. When they are cancelled, its time begins to run, and the
//! frames it is inside of are not dropped before it is done or its time is over. Those frames are on a list in the
//! books of their scopes ([`Shielded`]), since it is there that a frame asks whether it is to stop, and since a shield that
//! nobody polls any more has to end in time all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use sc_core::{Cancelled, Deadline, Failure, ScopeId};

use crate::books::Books;
use crate::builder::NurseryBuilder;
use crate::drive::{Ended, Opening, drive};
use crate::frame::{self, Opener, Who};
use crate::node::Node;
use crate::nursery::Nursery;
use crate::open::{Options, Setup};
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
    IntoFuture::into_future(NurseryBuilder::new(inside(future)).opened_at(place).shielding(limit))
}

/// The block of a shield.
async fn inside<F: Future>(future: F) -> Ended<F::Output, Cancelled> {
    let nursery = Nursery::<Cancelled>::open();
    let too_late = nursery.node().is_opened_too_late();
    let body = async move {
        if too_late {
            // Not begun rather than left half done.
            std::future::pending::<()>().await;
        }
        Ok(future.await)
    };
    drive(&nursery, body).await
}

/// The code of a child that is shielded as a whole.
pub(crate) async fn whole<F, T, E>(limit: Duration, future: F, place: &'static Location<'static>) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let options = Options { shield: Some(limit), ..Options::default() };
    let setup = Setup { options: Some(Box::new(options)), ..Setup::at(place) };
    let ended = Opening::new(setup, inside(future)).await;
    let awaited_dead = ended.awaited_dead();
    match ended.into_result_of_shielded_child() {
        Ok(output) => return output,
        Err(Failure::Panic(panic)) => panic.resume(),
        // Its code awaited a child that could give no value, or missed the child's own deadline: the frame was the shield's, and
        // is to be the child's.
        Err(Failure::Cancelled(cancelled)) if awaited_dead || !cancelled.is_inherited() => {
            crate::child::end_frame(cancelled, awaited_dead);
        }
        Err(_) => {
            // The time is over: from here on the child stops as any other.
            if let Some(Opener { node, who, .. }) = frame::current().filter(|here| here.who != Who::BODY) {
                node.unshield(who.member(), None, Wake::Nobody);
            }
        }
    }
    std::future::pending().await
}

/// Frames, as the scopes and the members that they are.
pub(crate) type Frames = Vec<(Arc<Node>, u64)>;

/// What makes a scope a shield.
#[derive(Debug)]
pub(crate) struct Shield {
    limit: Duration,
    pending: Option<Pending>,
    /// The frames around it, in whose books it is listed.
    frames: Frames,
    /// One of them is aborted, before this was listed: it is dropped at its next await.
    too_late: bool,
}

/// The cancellation that a shield keeps out, and until when (`None`: for ever).
#[derive(Debug)]
struct Pending {
    cancelled: Cancelled,
    at: Option<Instant>,
}

impl Shield {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, pending: None, frames: Vec::new(), too_late: false }
    }

    /// When its time is over, if that runs.
    pub(crate) fn over_at(&self) -> Option<Instant> {
        self.pending.as_ref().and_then(|pending| pending.at)
    }

    pub(crate) fn into_frames(self) -> Frames {
        self.frames
    }

    pub(crate) fn pending(&self) -> Option<&Cancelled> {
        self.pending.as_ref().map(|pending| &pending.cancelled)
    }
}

/// A member of a scope and a shield in its frame; `None`: the member as a whole.
type Key = (u64, Option<ScopeId>);

/// The members of a scope whose frames contain a shield, or which are shielded as a whole. Sorted, since each of them asks
/// when the scope is cancelled, and leaves one by one. Boxed, since most scopes have none.
#[derive(Debug, Default)]
pub(crate) struct Shielded(Option<Box<Listed>>);

#[derive(Debug, Default)]
struct Listed {
    entries: BTreeMap<Key, Entry>,
    /// When the time of those is over whose time runs.
    timers: BTreeSet<(Instant, Key)>,
}

#[derive(Debug)]
struct Entry {
    shield: Option<Arc<Node>>,
    over_at: Option<Instant>,
}

impl Shielded {
    pub(crate) fn has(&self, member: u64) -> bool {
        let Some(listed) = &self.0 else { return false };
        listed.entries.range((member, None)..).next().is_some_and(|((first, _), _)| *first == member)
    }

    pub(crate) fn enter(&mut self, member: u64, shield: Option<Arc<Node>>) {
        let key = (member, shield.as_ref().map(|node| node.id()));
        self.0.get_or_insert_default().entries.insert(key, Entry { shield, over_at: None });
    }

    /// Takes one off the list. To be dropped without the lock.
    #[must_use]
    pub(crate) fn leave(&mut self, member: u64, shield: Option<ScopeId>) -> Option<Arc<Node>> {
        let listed = self.0.as_mut()?;
        let entry = listed.entries.remove(&(member, shield))?;
        if let Some(at) = entry.over_at {
            listed.timers.remove(&(at, (member, shield)));
        }
        entry.shield
    }

    fn expect_end(&mut self, member: u64, shield: ScopeId, at: Instant) {
        let Some(listed) = &mut self.0 else { return };
        let key = (member, Some(shield));
        if let Some(entry) = listed.entries.get_mut(&key) {
            if let Some(earlier) = entry.over_at.replace(at) {
                listed.timers.remove(&(earlier, key));
            }
            listed.timers.insert((at, key));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        Some(self.0.as_ref()?.timers.first()?.0)
    }

    /// The shields whose time is over. Each is given once.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Arc<Node>> {
        let Some(listed) = &mut self.0 else { return Vec::new() };
        let mut due = Vec::new();
        while let Some((_, key)) = listed.timers.first().copied().filter(|(at, _)| *at <= now) {
            listed.timers.pop_first();
            if let Some(entry) = listed.entries.get_mut(&key) {
                entry.over_at = None;
                due.extend(entry.shield.clone());
            }
        }
        due
    }
}

/// Whom the end of a shield wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// It ends in a poll of the frames around it, which look for themselves after that.
    Nobody,
    /// All who wait: which of them has to look is cheaper to find out by asking.
    Everybody,
}

impl Wake {
    /// For a shield that ends here and now.
    pub(crate) fn around(frames: &[(Arc<Node>, u64)]) -> Self {
        let here = frame::current();
        let is_here = frames
            .first()
            .zip(here)
            .is_some_and(|((node, member), here)| Arc::ptr_eq(node, &here.node) && *member == here.who.member());
        if is_here { Self::Nobody } else { Self::Everybody }
    }
}

/// The frames that are polled and dropped together with the one that opens a shield: that frame, and those around it up to
/// the next task.
fn frames_around(opener: &Opener) -> Frames {
    let mut frames = Vec::new();
    let (mut node, mut who, mut in_future) = (Arc::clone(&opener.node), opener.who, opener.in_future);
    loop {
        frames.push((Arc::clone(&node), who.member()));
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
        let mut too_late = false;
        for (node, member) in &frames {
            let mut books = node.books();
            books.shielded.enter(*member, Some(Arc::clone(self)));
            // Under the lock under which an abort is decided on: one that sees us listed is not.
            too_late |= books.stops.is_aborted(*member) || books.ambient.is_aborted(*member);
        }
        if let Some(shield) = &mut self.books().shield {
            (shield.frames, shield.too_late) = (frames, too_late);
        }
    }

    fn is_opened_too_late(&self) -> bool {
        self.books().shield.as_ref().is_some_and(|shield| shield.too_late)
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
        for (node, member) in &shield.frames {
            work.expect_end_of_shield(node, *member, self.id(), at);
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
        work.unshield(frames, self.id());
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
    pub(crate) fn expect_end_of_shield(&self, member: u64, shield: ScopeId, at: Instant) {
        self.books().shielded.expect_end(member, shield, at);
        self.rearm();
    }

    /// A member of this scope is not, or no longer so much, shielded.
    pub(crate) fn unshield(self: &Arc<Self>, member: u64, shield: Option<ScopeId>, wake: Wake) {
        let mut work = Work::default();
        let left = {
            let mut books = self.books();
            let left = books.shielded.leave(member, shield);
            // If its time comes later, it is told then.
            if books.is_due(member) && !books.shielded.has(member) {
                self.raise(0);
                books.changed = true;
                if wake == Wake::Everybody {
                    work.wake(books.present.take_wakers());
                }
                work.wake(books.carrier.take());
                work.abort(books.ambient.take_one(member));
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
        // The member has ended; there is nobody to tell.
        let left = self.node.books().shielded.leave(self.member, None);
        drop(left);
    }
}

#[cfg(all(test, not(sc_shuttle)))]
mod tests {
    use std::time::Duration;

    use tokio::task::yield_now;

    use crate::{Cancelled, OwnedScope, Ready, Scope, scope, shield};

    const SECOND: Duration = Duration::from_secs(1);

    fn is_empty(s: &Scope<Cancelled>) -> bool {
        let books = s.node().books();
        let shielded = books.shielded.0.as_ref().is_none_or(|list| list.entries.is_empty() && list.timers.is_empty());
        shielded
            && books.nested.iter().next().is_none()
            && books.graces.below(u64::MAX, false).is_empty()
            && !books.stops.has_any()
    }

    /// P11.
    #[tokio::test(start_paused = true)]
    async fn a_scope_keeps_nothing_of_shields_starts_and_owned_scopes_that_are_over() {
        let ended = scope(async |s: &Scope<Cancelled>| {
            for round in 0..1_000_u32 {
                shield(SECOND, yield_now()).await?;
                let _ = tokio::join!(shield(SECOND, yield_now()), shield(SECOND, async {}));
                s.task().shielded(SECOND).grace(SECOND).spawn(yield_now()).await;
                let stopped = s.task().shielded(Duration::ZERO).spawn(std::future::pending::<()>());
                yield_now().await;
                stopped.cancel().await;
                let late =
                    s.task().grace(SECOND).timeout(Duration::ZERO).isolated().spawn(std::future::pending::<()>());
                assert!(late.join().await.is_err());
                let (round_too, _) =
                    s.start(async move |ready: Ready<u32>| ready.signal(round)).await.expect("it signals");
                assert_eq!(round_too, round);
                let given_up = s.start(async |_unsignalled: Ready<()>| std::future::pending::<()>().await);
                drop(given_up);
                let owned = OwnedScope::<Cancelled>::under(s);
                owned.spawn(std::future::pending::<()>());
                drop(owned);
            }
            tokio::time::sleep(SECOND).await;
            assert!(is_empty(s));
            s.cancel("the end");
            shield(SECOND, yield_now()).await?;
            assert!(is_empty(s));
            Ok(())
        });
        ended.await.expect("the body ended in a shield");
    }
}

//! Limits: how many children of one or several scopes run at once.
//!
//! # Invariants
//!
//! 1. `taken` seats are each held by one child (or permit), and `taken <= size` unless the limit was made smaller.
//! 2. Who is in the queue does not run. The queue is served in the order of arrival; before it come children that lent
//!    their seat and want one back.
//! 3. A child that lent its seat does not run until it has one again, or code that is polled inside it has one. So no more
//!    tasks run than there are seats.
//! 4. Nobody is woken, and no value is dropped, under the lock.

mod shelf;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sc_core::ScopeId;

pub(crate) use shelf::Shelf;
use waits::Around;
pub(crate) use waits::{awaits, awaits_no_more, awaits_scope};

use crate::node::Node;
use crate::rt::{Mutex, lock};
use crate::wake::wake_all;

/// How many children run at once; to be given to one scope, or shared between several.
///
/// A scope with a limit ([`limit`](crate::NurseryBuilder::limit)) starts no more children than the limit has seats.
/// [`spawn`](crate::Scope::spawn) over the limit queues the child, in the order of arrival, and keeps its future; to bound
/// memory too, wait for a seat first with [`reserve`](crate::Scope::reserve). A queued child whose scope is cancelled never
/// starts. A child holds its seat until its captures are dropped, whatever ends it.
///
/// Seats count parallel, borrowed and blocking children. They do not count the body, daemons (which end only after
/// everybody else), and ambient tasks (whose handles are Tokio's, so that nobody could know who waits for whom).
///
/// # Lending
///
/// A child that awaits a queued child of a scope with the same limit would wait for ever if it kept the last seat. So it lends
/// its seat to the child that it awaits, one at a time; also to those below what it waits for: a scope that it opened, a join,
/// or a child that this limit does not count. While its seat is lent a child does not run, whatever else it waits for: it goes
/// on when it has a seat again, and before anybody in the queue, so that the limit is never exceeded. A time-out around such an
/// await fires then, and not before: a condition variable behaves alike, which has to have its lock back first. (A task runs as
/// long as any code in it has a seat: borrowed children and those of a [`join`](crate::join) are polled with their lender.)
///
/// What lending does not solve: a child that calls `reserve` while it holds a seat lends nothing, so with a limit of one it
/// waits for itself; a borrower that waits for a message from its lender waits for ever, unless there is another seat, even if
/// somebody with a seat awaits the lender; and two limits that children take in turn, one inside the other, can wait for each
/// other as two locks can.
///
/// Against `tokio::sync::Semaphore`: a semaphore's permit has to be carried into the task by hand, and a task that waits
/// for another one with the permit in its hand deadlocks. Use a semaphore for anything that is not a child.
///
/// # Examples
///
/// Two scopes that share two seats:
///
/// ```
/// use sc_tokio::{Cancelled, Limit, nursery};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Cancelled> {
/// let connections = Limit::new(2);
/// let fetch = |from: u32| {
///     nursery!(async move |n| {
///         let pages: Vec<_> = (from..from + 5).map(|page| n.spawn(async move { Ok(page) })).collect();
///         let mut sum = 0;
///         for page in pages {
///             sum += page.await;
///         }
///         Ok::<_, Cancelled>(sum)
///     })
///     .limit(&connections)
/// };
/// assert_eq!(fetch(0).await? + fetch(5).await?, 45);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Limit(Arc<Gate>);

impl Limit {
    /// A limit with this many seats.
    ///
    /// # Panics
    ///
    /// If `size` is zero, since then no child could ever start. For a number that comes from a configuration there is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(size: usize) -> Self {
        match Self::try_new(size) {
            Ok(limit) => limit,
            Err(error) => panic!("{error}"),
        }
    }

    /// A limit with this many seats.
    ///
    /// # Errors
    ///
    /// If `size` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_tokio::Limit;
    ///
    /// assert_eq!(Limit::try_new(4).unwrap().size(), 4);
    /// assert!(Limit::try_new(0).is_err());
    /// ```
    pub fn try_new(size: usize) -> Result<Self, ZeroLimit> {
        NonZeroUsize::new(size).map(Self::from).ok_or(ZeroLimit(()))
    }

    /// How many seats there are.
    pub fn size(&self) -> usize {
        lock(&self.0.books).size
    }

    /// Changes the number of seats. With more, who is queued starts at once; with fewer, nobody is stopped, and seats that come
    /// free are not given out again until as many are left as there should be.
    ///
    /// # Panics
    ///
    /// If `size` is zero.
    #[track_caller]
    pub fn resize(&self, size: usize) {
        assert!(size > 0, "{}", ZeroLimit(()));
        let wakers = {
            let mut books = lock(&self.0.books);
            books.size = size;
            books.fill()
        };
        wake_all(wakers);
    }

    /// How many seats are free now. Others may take them at any time.
    pub fn available(&self) -> usize {
        let books = lock(&self.0.books);
        books.size.saturating_sub(books.taken)
    }

    /// How many children and reservations wait for a seat.
    pub fn queued(&self) -> usize {
        lock(&self.0.books).queue.len()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A seat, or a place in the queue for one; `child` says whose it is, for those who await it, and `inside` that it is
    /// made, or polled, in the running task.
    pub(crate) fn queue_up(&self, child: Option<(&Arc<Node>, u64)>, inside: bool) -> Seat {
        let around = if inside { self.around() } else { Around::default() };
        let mut books = lock(&self.0.books);
        let ticket = books.ticket();
        if books.is_free() {
            books.taken += 1;
            // The holders around it run already, for it is they who are here.
            let _ = books.enter(&around);
            return Seat::new(self, ticket, Standing::Held, around);
        }
        let key = child.map(|(node, id)| (node.id(), id));
        if let (Some(key), Some((node, _))) = (key, child) {
            books.children.insert(key, (ticket, Arc::clone(node)));
        }
        books.queue.insert(ticket, Queued { child: key, around: around.clone(), waker: None });
        let idle = std::mem::take(&mut books.idle);
        drop(books);
        wake_all(idle.into_values());
        Seat::new(self, ticket, Standing::Queued, around)
    }

    /// A seat, if one is free and nobody waits for it.
    pub(crate) fn try_take(&self) -> Option<Seat> {
        let mut books = lock(&self.0.books);
        if !books.is_free() {
            return None;
        }
        books.taken += 1;
        let ticket = books.ticket();
        Some(Seat::new(self, ticket, Standing::Held, Around::default()))
    }
}

impl From<usize> for Limit {
    /// As [`Limit::new`], with its panic for zero.
    fn from(size: usize) -> Self {
        Self::new(size)
    }
}

impl From<NonZeroUsize> for Limit {
    fn from(size: NonZeroUsize) -> Self {
        let books = GateBooks { size: size.get(), ..GateBooks::default() };
        Self(Arc::new(Gate { books: Mutex::new(books) }))
    }
}

impl From<&Self> for Limit {
    fn from(limit: &Self) -> Self {
        limit.clone()
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = lock(&self.0.books);
        f.debug_struct("Limit")
            .field("size", &books.size)
            .field("taken", &books.taken)
            .field("queued", &books.queue.len())
            .field("lent", &books.lent.len())
            .finish()
    }
}

/// A limit of zero: under it no child could ever start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroLimit(());

impl fmt::Display for ZeroLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a limit of zero lets no child start; give at least one, or no limit at all")
    }
}

impl Error for ZeroLimit {}

struct Gate {
    books: Mutex<GateBooks>,
}

/// Who waits in the queue.
struct Queued {
    /// `None`: a reservation.
    child: Option<(ScopeId, u64)>,
    around: Around,
    waker: Option<Waker>,
}

/// A seat that its holder gave to somebody else for a while.
struct Lent {
    to: u64,
    /// Taken when it is woken; it looks again then, and leaves another.
    waker: Option<Waker>,
    /// The lender's.
    around: Around,
    /// Its place among those that want to go on.
    turn: Option<u64>,
}

#[derive(Default)]
struct GateBooks {
    size: usize,
    taken: usize,
    next: u64,
    /// By ticket, that is in the order of arrival.
    queue: BTreeMap<u64, Queued>,
    /// The tickets of the children in the queue.
    children: BTreeMap<(ScopeId, u64), (u64, Arc<Node>)>,
    /// By the lender's ticket.
    lent: BTreeMap<u64, Lent>,
    /// Whose seat it is that a borrower sits on.
    lenders: BTreeMap<u64, u64>,
    /// Lenders that want to go on and wait for a seat, in the order in which they began to.
    returning: BTreeMap<u64, u64>,
    /// How many seats are held by code that runs inside a holder's task, by the holder's ticket.
    inside: BTreeMap<u64, usize>,
    /// Holders of a seat that wait for a scope: they look again when somebody queues up.
    idle: BTreeMap<u64, Waker>,
}

impl GateBooks {
    fn is_free(&self) -> bool {
        self.taken < self.size && self.queue.is_empty() && self.returning.is_empty()
    }

    /// Gives out what is free.
    fn fill(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while self.taken < self.size && self.seat_next(&mut wakers) {
            self.taken += 1;
        }
        wakers
    }

    /// A number that is higher than all before.
    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Seats the next one who waits. Whether there was one; its waker, if it has looked already, goes into `wakers`.
    fn seat_next(&mut self, wakers: &mut Vec<Waker>) -> bool {
        while let Some((_, lender)) = self.returning.pop_first() {
            if self.lent.contains_key(&lender) {
                wakers.extend(self.seat_lender(lender));
                return true;
            }
        }
        let Some((_, queued)) = self.queue.pop_first() else { return false };
        if let Some(child) = queued.child {
            // Not the last pointer to the node: the child has one.
            self.children.remove(&child);
        }
        wakers.extend(self.enter(&queued.around));
        wakers.extend(queued.waker);
        true
    }

    /// A lender has a seat again. The one it lent is its borrower's own from now on.
    fn seat_lender(&mut self, lender: u64) -> Vec<Waker> {
        let Some(Lent { to, waker, around, turn }) = self.lent.remove(&lender) else { return Vec::new() };
        self.lenders.remove(&to);
        self.wants_no_more(turn);
        let mut wakers = self.enter(&around);
        wakers.extend(waker);
        wakers
    }

    fn wants_no_more(&mut self, turn: Option<u64>) {
        if let Some(turn) = turn {
            self.returning.remove(&turn);
        }
    }

    /// A seat came free.
    fn give_up(&mut self, ticket: u64, around: &Around) -> Vec<Waker> {
        self.leave(around);
        if let Some(lender) = self.lenders.remove(&ticket).filter(|lender| self.lent.contains_key(lender)) {
            return self.seat_lender(lender);
        }
        self.taken -= 1;
        self.fill()
    }

    /// Code inside these holders' tasks has a seat. Gives the wakers of those who may go on with it: to wake the code is
    /// not enough, since a set of futures that was not polled since the last time passes nothing on.
    fn enter(&mut self, around: &Around) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for holder in around.iter() {
            let count = self.inside.entry(holder).or_default();
            *count += 1;
            if *count == 1 {
                wakers.extend(self.lent.get_mut(&holder).and_then(|lent| lent.waker.take()));
            }
        }
        wakers
    }

    /// Code inside these holders' tasks has a seat no more.
    fn leave(&mut self, around: &Around) {
        for holder in around.iter() {
            if let Some(count) = self.inside.get_mut(&holder) {
                *count -= 1;
                if *count == 0 {
                    self.inside.remove(&holder);
                }
            }
        }
    }

    /// Whose seat it is that has left the task of this lender: its own, or that of a borrower inside, who lent it on.
    fn innermost_lender(&self, lender: u64) -> u64 {
        let mut innermost = lender;
        while let Some(Lent { to, .. }) = self.lent.get(&innermost) {
            if !self.lent.get(to).is_some_and(|inner| inner.around.contains(lender)) {
                break;
            }
            innermost = *to;
        }
        innermost
    }

    fn leave_queue(&mut self, ticket: u64) -> Option<(Queued, Option<Arc<Node>>)> {
        let queued = self.queue.remove(&ticket)?;
        let node = queued.child.and_then(|child| self.children.remove(&child)).map(|(_, node)| node);
        Some((queued, node))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Queued,
    Held,
    Lent,
}

/// A seat, or a place in the queue for one; given up when dropped.
pub(crate) struct Seat {
    limit: Limit,
    ticket: u64,
    standing: Standing,
    around: Around,
    wants: Wants,
    /// It is on the list of those who could lend.
    idle: bool,
}

/// Whom a child with a seat waits for.
#[derive(Default)]
struct Wants {
    children: BTreeSet<(ScopeId, u64)>,
    /// Children that this limit does not count, with their scopes: below them somebody may wait for a seat.
    through: BTreeMap<(ScopeId, u64), Arc<Node>>,
    /// Scopes it opened and waits for.
    below: Vec<Arc<Node>>,
}

impl Wants {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.through.is_empty() && self.below.is_empty()
    }
}

impl Seat {
    fn new(limit: &Limit, ticket: u64, standing: Standing, around: Around) -> Self {
        Self { limit: limit.clone(), ticket, standing, around, wants: Wants::default(), idle: false }
    }

    /// Whether it never was more than a place in the queue.
    pub(crate) fn is_queued(&self) -> bool {
        self.standing == Standing::Queued
    }

    /// Ready once its holder may run: on its own seat, or on one that code inside it has.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.standing == Standing::Held {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut books = lock(&self.limit.0.books);
        let (mut old, mut seated) = (None, Vec::new());
        let may_run = match self.standing {
            Standing::Held => true,
            Standing::Queued => match books.queue.get_mut(&self.ticket) {
                Some(queued) => {
                    old = queued.waker.replace(waker);
                    false
                }
                None => true,
            },
            Standing::Lent => match books.lent.get_mut(&self.ticket) {
                Some(lent) => {
                    old = lent.waker.replace(waker);
                    self.goes_on(&mut books, &mut seated)
                }
                None => true,
            },
        };
        if may_run && !(self.standing == Standing::Lent && books.lent.contains_key(&self.ticket)) {
            self.standing = Standing::Held;
        }
        drop(books);
        drop(old);
        wake_all(seated);
        if may_run { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Somebody woke the lender. If nobody inside it has a seat, it takes a free one, or is the next to get one.
    fn goes_on(&self, books: &mut GateBooks, seated: &mut Vec<Waker>) -> bool {
        if books.inside.contains_key(&self.ticket) {
            let turn = books.lent.get_mut(&self.ticket).and_then(|lent| lent.turn.take());
            books.wants_no_more(turn);
            return true;
        }
        let lender = books.innermost_lender(self.ticket);
        if books.taken < books.size {
            books.taken += 1;
            *seated = books.seat_lender(lender);
            return true;
        }
        let turn = books.ticket();
        if let Some(lent) = books.lent.get_mut(&lender).filter(|lent| lent.turn.is_none()) {
            lent.turn = Some(turn);
            books.returning.insert(turn, lender);
        }
        false
    }

    /// Lends the seat to the first queued child that its holder waits for.
    pub(crate) fn lend(&mut self, cx: &Context<'_>) {
        if self.standing == Standing::Lent && !lock(&self.limit.0.books).lent.contains_key(&self.ticket) {
            self.standing = Standing::Held;
        }
        if self.standing != Standing::Held || self.wants.is_empty() {
            return;
        }
        while let Some(child) = self.wants.children.pop_first() {
            if self.lend_to(child, cx) {
                self.wants.children.insert(child);
                return;
            }
        }
        self.wants.below.retain(|node| !node.is_closed());
        if !self.wants.is_empty() && !self.lend_below(cx) {
            // Somebody may queue up later whom nobody but we can let in.
            let old = lock(&self.limit.0.books).idle.insert(self.ticket, cx.waker().clone());
            drop(old);
            self.idle = true;
            self.lend_below(cx);
        }
    }

    fn lend_below(&mut self, cx: &Context<'_>) -> bool {
        let through = self.wants.through.values().cloned();
        for node in self.wants.below.iter().cloned().chain(through).collect::<Vec<_>>() {
            while let Some(child) = self.limit.first_below(&node) {
                if self.lend_to(child, cx) {
                    return true;
                }
            }
        }
        false
    }

    fn lend_to(&mut self, child: (ScopeId, u64), cx: &Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let (left, wakers) = {
            let mut books = lock(&self.limit.0.books);
            let Some(ticket) = books.children.get(&child).map(|(ticket, _)| *ticket) else { return false };
            let left = books.leave_queue(ticket);
            let around = self.around.clone();
            books.leave(&around);
            books.lent.insert(self.ticket, Lent { to: ticket, waker: Some(waker), around, turn: None });
            books.lenders.insert(ticket, self.ticket);
            let wakers = left.as_ref().map(|(queued, _)| books.enter(&queued.around));
            (left, wakers)
        };
        self.standing = Standing::Lent;
        wake_all(wakers.into_iter().flatten());
        if let Some((queued, node)) = left {
            wake_all(queued.waker);
            drop(node);
        }
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (mut left, mut unheard) = (None, None);
        let mut books = lock(&self.limit.0.books);
        let idle = if self.idle { books.idle.remove(&self.ticket) } else { None };
        let wakers = match self.standing {
            Standing::Queued => {
                left = books.leave_queue(self.ticket);
                // It may have been seated since it looked.
                if left.is_some() { Vec::new() } else { books.give_up(self.ticket, &self.around) }
            }
            Standing::Held => books.give_up(self.ticket, &self.around),
            Standing::Lent => match books.lent.remove(&self.ticket) {
                Some(Lent { to, waker, turn, .. }) => {
                    // The borrower goes on, and gives the seat to whoever lent it to us.
                    books.wants_no_more(turn);
                    books.lenders.remove(&to);
                    if let Some(lender) = books.lenders.remove(&self.ticket) {
                        books.lenders.insert(to, lender);
                        if let Some(above) = books.lent.get_mut(&lender) {
                            above.to = to;
                        }
                    }
                    unheard = waker;
                    Vec::new()
                }
                None => books.give_up(self.ticket, &self.around),
            },
        };
        drop(books);
        drop((left, unheard, idle));
        wake_all(wakers);
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("ticket", &self.ticket).field("standing", &self.standing).finish_non_exhaustive()
    }
}

impl Node {
    /// A place under the scope's limit for a child, if there is one that concerns it.
    #[inline]
    pub(crate) fn queue_for_seat(self: &Arc<Self>, id: u64, inside: bool) -> Option<Seat> {
        self.limit().map(|limit| limit.queue_up(Some((self, id)), inside))
    }
}

//! Connections to an upstream, which belong to nobody's request.
//!
//! A pool that opens what is missing from inside [`Pool::get`] is where tasks go wrong first. If the task that opens a
//! connection is the request's, and the client leaves, it is cancelled with the request: the pool has counted a connection that
//! never comes. If it is nobody's, it runs on when the program ends. Here it is the pool's, which has a scope
//! of its own.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sc_tokio::{Cancelled, OwnedScope, Supervise};
use tokio::sync::oneshot;

use crate::wire::Connection;

/// How long opening a connection may take.
const OPENING: Duration = Duration::from_secs(5);

/// At most so many connections to one upstream. A clone is the same pool; dropping the last one ends it.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// How a pool is occupied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupancy {
    /// Connections that are open, or about to be.
    pub open: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// Those who wait for one.
    pub waiting: usize,
}

/// A connection on loan: back in the pool when dropped, if it is of use to anybody.
#[derive(Debug)]
pub struct Loan {
    /// `None` in the destructor only.
    connection: Option<Slotted>,
    pool: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    size: usize,
    state: Mutex<State>,
    scope: OwnedScope<Cancelled>,
}

#[derive(Debug, Default)]
struct State {
    slots_taken: usize,
    idle: Vec<Slotted>,
    waiting: VecDeque<oneshot::Sender<io::Result<Loan>>>,
}

/// A connection in the slot that it takes up.
#[derive(Debug)]
struct Slotted {
    connection: Connection,
    _slot: Slot,
}

/// One of the pool's connections, from before it is opened until it is dropped; counted by this value alone, so that no
/// way of ending it is forgotten.
#[derive(Debug)]
struct Slot(Weak<Shared>);

impl Pool {
    /// A pool of at most `size` connections, each opened when it is needed first.
    pub fn new(name: &str, upstream: SocketAddr, size: usize) -> Self {
        let scope = OwnedScope::builder().named(format!("connections to {name}")).policy(Supervise).open();
        Self { shared: Arc::new(Shared { upstream, size, state: Mutex::default(), scope }) }
    }

    /// Lends a connection: an idle one, else the first that is given back or opened.
    ///
    /// # Errors
    ///
    /// If a connection could not be opened, or the program ends.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping it: a connection that was to be opened for it is opened, and the next one's.
    pub async fn get(&self) -> io::Result<Loan> {
        let turn = match self.shared.idle_or_turn() {
            Ok(loan) => return Ok(loan),
            Err(turn) => turn,
        };
        self.shared.open_one_more();
        turn.await.unwrap_or_else(|_| Err(io::Error::other("the pool is closed")))
    }

    /// How the pool is occupied right now.
    pub fn occupancy(&self) -> Occupancy {
        let state = self.shared.state();
        let waiting = state.waiting.iter().filter(|waiting| !waiting.is_closed()).count();
        Occupancy { open: state.slots_taken, idle: state.idle.len(), waiting }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_or_turn(self: &Arc<Self>) -> Result<Loan, oneshot::Receiver<io::Result<Loan>>> {
        loop {
            let mut state = self.state();
            let Some(idle) = state.idle.pop() else {
                // Those who have left are not to pile up behind an upstream that hangs.
                state.waiting.retain(|waiting| !waiting.is_closed());
                let (turn, mine) = oneshot::channel();
                state.waiting.push_back(turn);
                return Err(mine);
            };
            drop(state);
            if idle.connection.is_idle() {
                return Ok(Loan { connection: Some(idle), pool: Arc::clone(self) });
            }
        }
    }

    /// Opens a connection for those who wait, if there is a slot for it. It is theirs, whoever asked for it.
    fn open_one_more(self: &Arc<Self>) {
        let Some(slot) = self.take_slot() else { return };
        let upstream = self.upstream;
        // The task must not keep the pool alive that owns it.
        let pool = Arc::downgrade(self);
        self.scope.task().name("open").spawn(async move {
            let opened = tokio::time::timeout(OPENING, Connection::open(upstream)).await;
            let Some(pool) = pool.upgrade() else { return };
            match opened.unwrap_or_else(|late| Err(late.into())) {
                Ok(connection) => pool.hand_on(Slotted { connection, _slot: slot }),
                Err(error) => pool.refuse_next(error),
            }
        });
    }

    fn take_slot(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.state();
        let free = state.slots_taken < self.size && !self.scope.is_cancelled();
        free.then(|| {
            state.slots_taken += 1;
            Slot(Arc::downgrade(self))
        })
    }

    /// To the first who still waits, else to those that are idle.
    fn hand_on(self: &Arc<Self>, connection: Slotted) {
        let mut loan = Loan { connection: Some(connection), pool: Arc::clone(self) };
        loop {
            let mut state = self.state();
            let Some(next) = state.waiting.pop_front() else {
                state.idle.extend(loan.connection.take());
                return;
            };
            drop(state);
            match next.send(Ok(loan)) {
                Err(Ok(back)) => loan = back,
                _ => return,
            }
        }
    }

    /// One failure is the answer to one question; the others get their own attempt, when the slot is free again.
    fn refuse_next(&self, error: io::Error) {
        let mut refusal = Err(error);
        while let Some(next) = self.next_waiting() {
            match next.send(refusal) {
                Ok(()) => return,
                Err(back) => refusal = back,
            }
        }
    }

    fn next_waiting(&self) -> Option<oneshot::Sender<io::Result<Loan>>> {
        self.state().waiting.pop_front()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(pool) = self.0.upgrade() else { return };
        let needed = {
            let mut state = pool.state();
            state.slots_taken -= 1;
            state.waiting.iter().any(|waiting| !waiting.is_closed())
        };
        if needed {
            pool.open_one_more();
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // One with an answer outstanding would give it to the next question. It is closed, and its slot is free.
        if connection.connection.is_idle() {
            self.pool.hand_on(connection);
        }
    }
}

impl Deref for Loan {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.slotted().connection
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection.as_mut().expect("a loan has its connection until it is dropped").connection
    }
}

impl Loan {
    fn slotted(&self) -> &Slotted {
        self.connection.as_ref().expect("a loan has its connection until it is dropped")
    }
}

//! Races of the engine, explored schedule by schedule.
//!
//! ```text
//! RUSTFLAGS="--cfg sc_shuttle" cargo test -p sc-shuttle-tests --test shuttle --target-dir target/shuttle
//! ```
//!
//! Without the `cfg` this crate is empty, and without its name it is not built. `-- --nocapture` prints how many
//! schedules ended in which outcome (and the failures of the planted mistakes, which are no failures here).
//! `SC_SHUTTLE_SCHEDULES` sets how many schedules each test runs per scheduler, `SC_SHUTTLE_SEED` which.
//!
//! # What it shows
//!
//! With the `cfg`, `sc-tokio` is compiled against Shuttle instead of `std`'s locks, atomics and
//! thread-locals and instead of Tokio's tasks, by way of its facade `rt`; all other code is what
//! production runs. [Shuttle](https://docs.rs/shuttle) runs the tasks of a test on one thread, and decides at
//! each lock, atomic access, spawn and wake-up who goes on. Each test runs under two schedulers: a
//! random one, and one that changes priorities seldom (PCT), which finds what needs few but unlikely
//! switches. A schedule in which everybody waits is reported as a deadlock, which is how a lost wake-up
//! shows; time stands still unless a test moves it, so that no timer papers over one.
//!
//! A test passes if its promises held in every schedule **and** each outcome of its race was seen in
//! some: a race that always ends one way has not been run. That the explorer would notice a mistake is shown
//! by some that are planted in the facade (`explorer.rs`), which it has to find. Schedules are counted per test and chosen so
//! that the whole takes few minutes; what is rare has more (`explore_more`).
//!
//! # What it cannot show
//!
//! - Schedules are sampled, not exhausted (`sc-core` is explored exhaustively, without tasks).
//! - Tokio itself is Shuttle's model: its scheduler, budget, wakers, blocking pool and shutdown are
//!   not run. A blocking closure is an ordinary task, which may begin late, but holds up nobody else. A set of tasks is a
//!   model of ours, since Shuttle's cannot be polled (`rt/explored/join_set.rs`): its own steps are not preempted. A task that
//!   panics outside a scope's frame fails the schedule.
//! - Every access is sequentially consistent. What weaker orderings allow on hardware is not explored.
//! - `std::sync::Arc` is not seen; the one count that decides something, that of a scope's holds, is
//!   instrumented. Nor are futures-buffered, which polls borrowed children, and `tracing`, nor what is kept per process by
//!   other means than `rt::global`: the failure hook, the numbers of scopes, the list of runtimes without a timer.
//! - A thread-local is one task's, since each is a thread of Shuttle's. So an implicit root is let go and opened again more often
//!   than on Tokio.
#![cfg(sc_shuttle)]

mod admission;
mod ambient;
mod borrowed;
mod deadlines;
mod dropping;
mod explorer;
mod failing;
mod join_set;
mod limits;
mod owned;
mod shields;
mod spawning;
mod starting;
mod stopping;
mod support;

//! A value that children inherit is shared between threads.

use std::cell::Cell;

use sc_tokio::scope_local;

scope_local! { static COUNTER: Cell<u32> }

fn main() {
    COUNTER.sync_scope(Cell::new(1), || ());
}

//! The handle is hidden in a thread-local.

use std::cell::Cell;

use sc_tokio::{Cancelled, Nursery, nursery};

thread_local! {
    static HIDDEN: Cell<Option<&'static Nursery<'static, Cancelled>>> = const { Cell::new(None) };
}

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        HIDDEN.set(Some(n));
        Ok(())
    })
    .await
}

fn main() {}

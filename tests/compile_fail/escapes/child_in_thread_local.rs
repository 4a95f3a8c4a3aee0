//! A child's handle is hidden in a thread-local.

use std::cell::RefCell;

use sc_tokio::{Cancelled, Child, nursery};

thread_local! {
    static HIDDEN: RefCell<Vec<Child<'static, (), Cancelled>>> = const { RefCell::new(Vec::new()) };
}

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        HIDDEN.with_borrow_mut(|hidden| hidden.push(n.spawn(async {})));
        Ok(())
    })
    .await
}

fn main() {}

//! A child's handle is hidden in a static.

use std::sync::Mutex;

use sc_tokio::{Cancelled, Child, nursery};

static HIDDEN: Mutex<Option<Child<'static, (), Cancelled>>> = Mutex::new(None);

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        *HIDDEN.lock().unwrap() = Some(n.spawn(async {}));
        Ok(())
    })
    .await
}

fn main() {}

//! Two borrowed children borrow the same thing mutably.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let mut log = Vec::new();
    nursery!(async |n| {
        n.spawn_borrowed(async { log.push(1) });
        n.spawn_borrowed(async { log.push(2) });
        Ok(())
    })
    .await
}

fn main() {}

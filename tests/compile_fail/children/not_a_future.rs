//! A closure is spawned instead of a future.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn(|| Ok(1));
        Ok(())
    })
    .await
}

fn main() {}

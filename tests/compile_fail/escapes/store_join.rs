//! The future that joins a child is stored outside.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let mut stored = None;
    nursery!(async |n| {
        stored = Some(n.spawn(async { Ok(1) }).join());
        Ok(())
    })
    .await
}

fn main() {}

//! The future that waits for the cancellation is stored outside.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let mut stored = None;
    nursery!(async |n| {
        stored = Some(n.cancelled());
        Ok(())
    })
    .await
}

fn main() {}

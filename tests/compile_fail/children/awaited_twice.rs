//! A child is awaited twice.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<u32, Cancelled> {
    nursery!(async |n| {
        let child = n.spawn(async { Ok(1) });
        let sum = child.await + child.await;
        Ok(sum)
    })
    .await
}

fn main() {}

//! A child is awaited after it was cancelled through its handle.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<u32, Cancelled> {
    nursery!(async |n| {
        let child = n.spawn(async { Ok(1) });
        child.cancel().await;
        Ok(child.await)
    })
    .await
}

fn main() {}

//! A child is awaited after it was joined.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<u32, Cancelled> {
    nursery!(async |n| {
        let child = n.spawn(async { Ok(1) });
        child.join().await.ok();
        Ok(child.await)
    })
    .await
}

fn main() {}

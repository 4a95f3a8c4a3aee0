//! A permit is moved into a child, which may outlive the block's handle.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let permit = n.reserve().await?;
        n.spawn(async move { permit.spawn(async {}); });
        Ok::<_, Cancelled>(())
    })
    .limit(1)
    .await
}

fn main() {}

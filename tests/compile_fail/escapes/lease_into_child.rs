//! A lease is moved into a child instead of a share.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let lease = n.resource(async { Ok(1) }, async |_, _| {}).await?;
        n.spawn(async move { assert_eq!(*lease, 1) });
        Ok::<_, Cancelled>(())
    })
    .await
}

fn main() {}

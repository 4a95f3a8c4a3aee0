//! A child's handle is moved into its sibling.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let first = n.spawn(async { Ok(1) });
        n.spawn(async move {
            first.await;
        });
        Ok(())
    })
    .await
}

fn main() {}

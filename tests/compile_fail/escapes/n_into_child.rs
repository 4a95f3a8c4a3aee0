//! The handle is moved into a child.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn(async move {
            n.spawn(async {});
        });
        Ok(())
    })
    .await
}

fn main() {}

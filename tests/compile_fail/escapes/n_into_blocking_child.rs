//! The handle is moved into a blocking child.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn_blocking(move |_cx| {
            n.spawn(async {});
        });
        Ok(())
    })
    .await
}

fn main() {}

//! A child's handle is captured by a borrowed sibling.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let first = n.spawn(async { Ok(1) });
        n.spawn_borrowed(async {
            first.await;
        });
        Ok(())
    })
    .await
}

fn main() {}

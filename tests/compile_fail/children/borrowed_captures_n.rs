//! A borrowed child captures the handle.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn_borrowed(async {
            n.spawn(async {});
        });
        Ok(())
    })
    .await
}

fn main() {}

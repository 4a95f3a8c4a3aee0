//! The handle is moved into a finalizer, which runs when the block is over.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.defer(async move |_end| {
            n.spawn(async {});
        });
        Ok(())
    })
    .await
}

fn main() {}

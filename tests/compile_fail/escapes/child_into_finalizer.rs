//! A child's handle is moved into a finalizer.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let child = n.spawn(async { Ok(1) });
        n.defer(async move |_end| {
            child.await;
        });
        Ok(())
    })
    .await
}

fn main() {}

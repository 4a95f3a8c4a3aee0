//! The handle is moved into a task of a `LocalSet`.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let local = tokio::task::LocalSet::new();
    nursery!(async |n| {
        local.spawn_local(async move { n.is_cancelled() });
        Ok(())
    })
    .await
}

fn main() {}

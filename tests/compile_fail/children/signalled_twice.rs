//! A child says twice that it is ready.

use sc_tokio::{Cancelled, Ready, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let started = n.start(async |ready: Ready<u8>| {
            ready.signal(1);
            ready.signal(2);
            Ok::<(), Cancelled>(())
        });
        drop(started.await);
        Ok(())
    })
    .await
}

fn main() {}

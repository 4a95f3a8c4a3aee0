//! The future of `start` is stored outside.

use sc_tokio::{Cancelled, Ready, nursery};

async fn f() -> Result<(), Cancelled> {
    let mut stored = None;
    nursery!(async |n| {
        stored = Some(n.start(async |ready: Ready<u8>| {
            ready.signal(1);
            Ok(())
        }));
        Ok(())
    })
    .await
}

fn main() {}

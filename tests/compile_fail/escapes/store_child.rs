//! A child's handle is stored in a variable that outlives the block.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let mut stored = None;
    nursery!(async |n| {
        stored = Some(n.spawn(async { Ok(1) }));
        Ok(())
    })
    .await
}

fn main() {}

//! A blocking child borrows a local of the block.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let text = String::from("inside");
        n.spawn_blocking(|_cx| Ok(text.len()));
        Ok(())
    })
    .await
}

fn main() {}

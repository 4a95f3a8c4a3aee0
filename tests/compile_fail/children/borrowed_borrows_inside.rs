//! A borrowed child borrows a local of the block.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let text = String::from("inside");
        n.spawn_borrowed(async { Ok(text.len()) });
        Ok(())
    })
    .await
}

fn main() {}

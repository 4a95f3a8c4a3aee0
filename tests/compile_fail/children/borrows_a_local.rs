//! A child, which is a task of its own, borrows a local of the block.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let text = String::from("inside");
        n.spawn(async { Ok(text.len()) });
        Ok(())
    })
    .await
}

fn main() {}

//! A finalizer borrows a local of the block, which is gone when it runs.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let text = String::from("inside");
        n.defer(async |_end| println!("{text}"));
        Ok(())
    })
    .await
}

fn main() {}

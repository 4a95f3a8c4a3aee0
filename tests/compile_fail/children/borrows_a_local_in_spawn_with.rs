//! A child that spawns siblings borrows a local of the block.

use sc_tokio::{Cancelled, Scope, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let text = String::from("inside");
        n.spawn_with(async |_n: &Scope<Cancelled>| Ok(text.len()));
        Ok(())
    })
    .await
}

fn main() {}

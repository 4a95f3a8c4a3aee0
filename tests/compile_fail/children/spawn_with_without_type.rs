//! The parameter of `spawn_with` has no type.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn_with(async |n| {
            n.spawn(async {});
        });
        Ok(())
    })
    .await
}

fn main() {}

//! A child's handle is stored in the enclosing block.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let mut stored = Vec::new();
        nursery!(async |inner| {
            stored.push(inner.spawn(async { Ok(1) }));
            Ok(())
        })
        .await?;
        n.spawn(async {});
        Ok(())
    })
    .await
}

fn main() {}

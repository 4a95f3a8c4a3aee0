//! A lease is returned from its block.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| { Ok::<_, Cancelled>(n.resource(async { Ok(1) }, async |_, _| {}).await?) }).await?;
    Ok(())
}

fn main() {}

//! A child's handle is returned from the block.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| { Ok(n.spawn(async { Ok(1) })) }).await?;
    Ok(())
}

fn main() {}

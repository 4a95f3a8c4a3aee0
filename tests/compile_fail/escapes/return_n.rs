//! The handle is returned from its block.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| { Ok(n) }).await?;
    Ok(())
}

fn main() {}

//! A permit is returned from its block.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| { Ok::<_, Cancelled>(n.reserve().await?) }).limit(1).await?;
    Ok(())
}

fn main() {}

//! A reservation is awaited in a task that belongs to nobody.

use sc_tokio::{Cancelled, nursery};
use tokio::spawn as start;

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        start(async { drop(n.reserve().await) });
        Ok::<_, Cancelled>(())
    })
    .limit(1)
    .await
}

fn main() {}

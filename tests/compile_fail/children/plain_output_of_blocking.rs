//! A blocking child returns something that is neither a `Result` nor `()`.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn_blocking(|_cx| "done");
        Ok(())
    })
    .await
}

fn main() {}

//! A child returns something that is neither a `Result` nor `()`.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn(async { 1 });
        Ok(())
    })
    .await
}

fn main() {}

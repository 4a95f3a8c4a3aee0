//! The body ends without a `Result`.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn(async {});
    })
    .await
}

fn main() {}

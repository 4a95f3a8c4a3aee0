//! A finalizer returns something that is neither `()` nor a `Result`.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.defer(async |_end| 1);
        Ok(())
    })
    .await
}

fn main() {}

//! The tasks of a set are to be detached, as Tokio's set can do.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let mut set = n.join_set();
        set.spawn(async { Ok(1) });
        set.detach_all();
        Ok(())
    })
    .await
}

fn main() {}

//! The handle that stops a task of a set is stored outside.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let mut stored = None;
    nursery!(async |n| {
        let mut set = n.join_set();
        stored = Some(set.spawn(async { Ok(1) }));
        Ok(())
    })
    .await
}

fn main() {}

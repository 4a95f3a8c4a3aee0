//! A set of tasks is stored outside.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let mut stored = None;
    nursery!(async |n| {
        let mut set = n.join_set();
        set.spawn(async { Ok(1) });
        stored = Some(set);
        Ok(())
    })
    .await
}

fn main() {}

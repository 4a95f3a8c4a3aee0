//! A child that is set up and not spawned yet is stored outside.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let mut stored = None;
    nursery!(async |n| {
        stored = Some(n.task().name("late"));
        Ok(())
    })
    .await
}

fn main() {}

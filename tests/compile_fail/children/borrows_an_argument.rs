//! A child, which is a task of its own, borrows an argument.

use sc_tokio::{Cancelled, nursery};

async fn f(text: &str) -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn(async { Ok(text.len()) });
        Ok(())
    })
    .await
}

fn main() {}

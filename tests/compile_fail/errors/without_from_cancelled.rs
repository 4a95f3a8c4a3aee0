//! The error type cannot be made from a cancellation.

use sc_tokio::nursery;

async fn f() -> Result<(), std::fmt::Error> {
    nursery!(async |n| {
        n.spawn(async {});
        Ok(())
    })
    .await
}

fn main() {}

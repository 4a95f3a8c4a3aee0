//! The same behind a builder method.

use sc_tokio::nursery;

async fn f() -> Result<(), std::fmt::Error> {
    nursery!(async |n| {
        n.spawn(async {});
        Ok(())
    })
    .timeout(std::time::Duration::from_secs(1))
    .await
}

fn main() {}

//! The handle is moved into a task of Tokio's: here the macro sees it first.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        tokio::spawn(async move { n.is_cancelled() });
        Ok(())
    })
    .await
}

fn main() {}

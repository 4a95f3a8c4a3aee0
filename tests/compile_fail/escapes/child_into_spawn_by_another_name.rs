//! A child's handle is moved into a task of Tokio's.

use sc_tokio::{Cancelled, nursery};
use tokio::spawn as go;

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let child = n.spawn(async { Ok(1) });
        go(async move { child.await });
        Ok(())
    })
    .await
}

fn main() {}

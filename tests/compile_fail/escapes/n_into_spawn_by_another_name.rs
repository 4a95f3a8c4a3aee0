//! The handle is moved into a task of Tokio's, by a name that the macro does not know.

use sc_tokio::{Cancelled, nursery};
use tokio::spawn as go;

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        go(async move { n.is_cancelled() });
        Ok(())
    })
    .await
}

fn main() {}

//! The handle is sent over a channel.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let (sender, _receiver) = tokio::sync::mpsc::unbounded_channel();
    nursery!(async |n| {
        sender.send(n).ok();
        Ok(())
    })
    .await
}

fn main() {}

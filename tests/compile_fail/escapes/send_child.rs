//! A child's handle is sent over a channel.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let (sender, _receiver) = std::sync::mpsc::channel();
    nursery!(async |n| {
        sender.send(n.spawn(async { Ok(1) })).ok();
        Ok(())
    })
    .await
}

fn main() {}

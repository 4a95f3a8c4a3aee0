//! A child returns another error type, and its scope has none before it.

use sc_tokio::{Cancelled, nursery};

async fn read() -> Result<u8, std::fmt::Error> {
    Ok(1)
}

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn(read());
        Ok(())
    })
    .await
}

fn main() {}

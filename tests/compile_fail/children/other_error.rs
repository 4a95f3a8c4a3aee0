//! A child returns another error type than its scope.

use sc_tokio::{Cancelled, nursery};

async fn read() -> Result<u8, std::fmt::Error> {
    Ok(1)
}

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| -> Result<(), Cancelled> {
        n.spawn(read());
        Ok(())
    })
    .await
}

fn main() {}

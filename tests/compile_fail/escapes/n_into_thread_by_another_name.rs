//! The handle is moved into a thread.

use std::thread::Builder;

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        Builder::new().spawn(move || n.is_cancelled()).ok();
        Ok(())
    })
    .await
}

fn main() {}

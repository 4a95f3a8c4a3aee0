//! The handle is carried out in a panic.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        std::panic::panic_any(n);
    })
    .await
}

fn main() {}

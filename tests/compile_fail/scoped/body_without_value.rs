//! The body ends without a value.

use sc_tokio::{Cancelled, scoped};

#[scoped]
async fn f() -> Result<(), Cancelled> {
    tokio::task::yield_now().await;
}

fn main() {}

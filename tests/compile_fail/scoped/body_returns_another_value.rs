//! The body returns another value than the function says.

use sc_tokio::{Cancelled, scoped};

async fn read() -> Result<String, Cancelled> {
    Ok(String::new())
}

#[scoped]
async fn f() -> Result<u32, Cancelled> {
    read().await
}

fn main() {}

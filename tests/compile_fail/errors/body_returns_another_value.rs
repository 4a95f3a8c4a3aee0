//! The body returns another value than the type says.

use sc_tokio::{Cancelled, nursery};

async fn read() -> Result<String, Cancelled> {
    Ok(String::new())
}

async fn f() -> Result<u32, Cancelled> {
    nursery!(async |_n| -> Result<u32, Cancelled> { read().await }).await
}

fn main() {}

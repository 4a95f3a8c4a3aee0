//! The body returns another value than the function says.

use sc_tokio::{Cancelled, scoped};

#[scoped]
async fn f() -> Result<u32, Cancelled> {
    Ok("one")
}

fn main() {}

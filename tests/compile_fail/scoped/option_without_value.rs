//! Options that lack their value.

use sc_tokio::{Cancelled, scoped};

#[scoped(timeout, name: "page", grace = )]
async fn f() -> Result<(), Cancelled> {
    Ok(())
}

fn main() {}

//! An option whose value has another type.

use sc_tokio::{Cancelled, scoped};

#[scoped(timeout = 2)]
async fn f() -> Result<(), Cancelled> {
    Ok(())
}

fn main() {}

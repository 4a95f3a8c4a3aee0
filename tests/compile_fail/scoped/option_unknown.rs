//! Options that do not exist.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|, timout = 2, retries = 3)]
async fn f() -> Result<(), Cancelled> {
    n.spawn(async {});
    Ok(())
}

fn main() {}

//! Where the scope has no name, the replacement does without.

use sc_tokio::{Cancelled, scoped};

#[scoped]
async fn f() -> Result<(), Cancelled> {
    tokio::spawn(async {});
    Ok(())
}

fn main() {}

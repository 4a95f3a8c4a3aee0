//! `tokio::spawn` in a scoped function.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    tokio::spawn(async {});
    n.spawn(async {});
    Ok(())
}

fn main() {}

//! `tokio::task::spawn_local`.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    tokio::task::spawn_local(async {});
    n.spawn(async {});
    Ok(())
}

fn main() {}

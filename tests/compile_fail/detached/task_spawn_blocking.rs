//! `tokio::task::spawn_blocking`.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    tokio::task::spawn_blocking(|| ());
    n.spawn(async {});
    Ok(())
}

fn main() {}

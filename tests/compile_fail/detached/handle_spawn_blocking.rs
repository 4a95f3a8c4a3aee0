//! `Handle::try_current()..spawn_blocking`.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    tokio::runtime::Handle::try_current().unwrap().spawn_blocking(|| ());
    n.spawn(async {});
    Ok(())
}

fn main() {}

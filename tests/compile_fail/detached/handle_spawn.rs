//! `Handle::current().spawn`.

use tokio::runtime::Handle;

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    Handle::current().spawn(async {});
    n.spawn(async {});
    Ok(())
}

fn main() {}

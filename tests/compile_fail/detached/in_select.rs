//! In the arguments of `tokio::select!`.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    tokio::select! {
        _ = tokio::spawn(async {}) => {}
    }
    n.spawn(async {});
    Ok(())
}

fn main() {}

//! `tokio::task::spawn`, in full and in part.

use tokio::task;

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    tokio::task::spawn(async {});
    task::spawn(async {});
    n.spawn(async {});
    Ok(())
}

fn main() {}

//! As a function, without a call.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    let tasks: Vec<_> = [async {}].into_iter().map(tokio::spawn).collect();
    drop(tasks);
    n.spawn(async {});
    Ok(())
}

fn main() {}

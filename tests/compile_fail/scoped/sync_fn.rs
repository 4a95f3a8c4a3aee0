//! A function that is not `async`.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
fn f() -> Result<(), Cancelled> {
    n.spawn(async {});
    Ok(())
}

fn main() {}

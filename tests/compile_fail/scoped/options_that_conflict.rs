//! Two names for the scope, and a list that allows nothing.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|, |m|, allow())]
async fn f() -> Result<(), Cancelled> {
    n.spawn(async {});
    Ok(())
}

fn main() {}

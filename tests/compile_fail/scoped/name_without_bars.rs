//! The name of the scope without its bars.

use sc_tokio::{Cancelled, scoped};

#[scoped(n)]
async fn f() -> Result<(), Cancelled> {
    n.spawn(async {});
    Ok(())
}

fn main() {}

//! Below `#[tokio::main]`, which has taken the `async` away.

use sc_tokio::{Cancelled, scoped};

#[tokio::main]
#[scoped(|n|)]
async fn main() -> Result<(), Cancelled> {
    n.spawn(async {});
    Ok(())
}

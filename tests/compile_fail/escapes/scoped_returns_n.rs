//! A `#[scoped]` function returns its handle.

use sc_tokio::{Cancelled, Scope, scoped};

#[scoped(|n|)]
async fn f() -> Result<&'static Scope<Cancelled>, Cancelled> {
    Ok(n)
}

fn main() {}

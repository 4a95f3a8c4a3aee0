//! The handle is returned from the closure of `scope`.

use sc_tokio::{Cancelled, Scope, scope};

async fn f() -> Result<(), Cancelled> {
    scope(async |s: &Scope<Cancelled>| Ok(s)).await?;
    Ok(())
}

fn main() {}

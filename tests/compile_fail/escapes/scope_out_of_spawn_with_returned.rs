//! `&Scope` is returned from the closure of `spawn_with`.

use sc_tokio::{Cancelled, Scope, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn_with(async |n: &Scope<Cancelled>| Ok(n));
        Ok(())
    })
    .await
}

fn main() {}

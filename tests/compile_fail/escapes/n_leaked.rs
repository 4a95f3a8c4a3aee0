//! The handle is leaked, to live for ever.

use sc_tokio::{Cancelled, Scope, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let forever: &'static Scope<Cancelled> = *Box::leak(Box::new(n));
        forever.spawn(async {});
        Ok(())
    })
    .await
}

fn main() {}

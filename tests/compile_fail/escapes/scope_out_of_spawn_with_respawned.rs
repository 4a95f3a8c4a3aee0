//! `&Scope` is moved from the closure of `spawn_with` into a sibling.

use sc_tokio::{Cancelled, Scope, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            n.spawn(async move {
                n.spawn(async {});
            });
        });
        Ok(())
    })
    .await
}

fn main() {}

//! The scope that `start_with` lends is sent to the starter, as the value of the signal.

use sc_tokio::{Cancelled, Ready, Scope, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let started = n.start_with(async |n: &Scope<Cancelled>, ready: Ready<&'static Scope<Cancelled>>| {
            ready.signal(n);
            Ok::<(), Cancelled>(())
        });
        drop(started.await);
        Ok(())
    })
    .await
}

fn main() {}

//! The scope is shut down while a handle of a child is still to be awaited.

use std::time::Duration;

use sc_tokio::{Cancelled, OwnedScope};

async fn f(owned: OwnedScope<Cancelled>) {
    let child = owned.spawn(async { Ok(1) });
    let _ = owned.shutdown(Duration::ZERO).await;
    let _ = child.join().await;
}

fn main() {}

//! A child's handle of an owned scope is moved into a task of Tokio's own, which may outlive the scope.

use sc_tokio::{Cancelled, OwnedScope};

async fn f() {
    let owned = OwnedScope::<Cancelled>::new();
    let child = owned.spawn(async { Ok(1) });
    tokio::task::spawn(async move { child.join().await });
}

fn main() {}

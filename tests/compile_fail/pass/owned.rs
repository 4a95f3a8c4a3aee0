//! The twins of the programs in `owned`, which do compile.

use std::sync::Arc;
use std::time::Duration;

use sc_tokio::{Attached, Cancelled, OwnedScope, Scope, nursery};

struct Connection {
    scope: OwnedScope<Cancelled>,
}

fn open() -> Connection {
    let scope = OwnedScope::new();
    scope.spawn(async {});
    Connection { scope }
}

/// A scope under another one is a value like any other, and may outlive the block's body: the block waits for it.
async fn outlives_the_body(connections: tokio::sync::mpsc::Sender<Connection>) -> Result<(), Cancelled> {
    nursery!(async |n| {
        let _ = connections.send(Connection { scope: OwnedScope::under(n) }).await;
        Ok(())
    })
    .await
}

async fn joined_first(connection: Connection) {
    let child = connection.scope.spawn(async { Ok(1) });
    let _ = child.join().await;
    let _ = connection.scope.shutdown(Duration::ZERO).await;
}

async fn shared() {
    let connection = Arc::new(open());
    let other = Arc::clone(&connection);
    tokio::task::spawn(async move {
        let child = other.scope.spawn_with(async |n: &Scope<Cancelled>| Ok(n.len()));
        child.join().await.is_ok()
    });
    connection.scope.failed().await;
}

fn attached(scope: OwnedScope<Cancelled>) -> Attached<Vec<u8>> {
    scope.spawn(async {});
    let local = String::from("moved in");
    scope.spawn(async move { Ok(local.len()) });
    scope.attach(Vec::new())
}

fn main() {
    let _ = (outlives_the_body, joined_first, shared, attached);
}

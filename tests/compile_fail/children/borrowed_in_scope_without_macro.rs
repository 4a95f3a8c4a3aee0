//! The door without macros has no borrowed children.

use sc_tokio::{Cancelled, Scope, scope};

async fn f(text: &str) -> Result<(), Cancelled> {
    scope(async |s: &Scope<Cancelled>| {
        s.spawn_borrowed(async { Ok(text.len()) });
        Ok(())
    })
    .await
}

fn main() {}

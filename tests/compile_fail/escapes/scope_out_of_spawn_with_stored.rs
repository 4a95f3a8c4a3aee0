//! `&Scope` is smuggled out of the closure of `spawn_with` through shared memory.

use std::sync::{Arc, Mutex};

use sc_tokio::{Cancelled, Scope, nursery};

async fn f() -> Result<(), Cancelled> {
    let shared = Arc::new(Mutex::new(None));
    nursery!(async |n| {
        let hidden = Arc::clone(&shared);
        n.spawn_with(async move |n: &Scope<Cancelled>| {
            *hidden.lock().unwrap() = Some(n);
        });
        Ok(())
    })
    .await
}

fn main() {}

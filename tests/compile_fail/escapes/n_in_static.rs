//! The handle is hidden in a static.

use std::sync::Mutex;

use sc_tokio::{Cancelled, Scope, nursery};

static HIDDEN: Mutex<Option<&'static Scope<Cancelled>>> = Mutex::new(None);

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        *HIDDEN.lock().unwrap() = Some(n);
        Ok(())
    })
    .await
}

fn main() {}

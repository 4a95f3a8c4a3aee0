//! The handle is carried out in the error.

use sc_tokio::{Cancelled, Scope, nursery};

#[derive(Debug)]
struct Smuggler<'a>(Option<&'a Scope<Smuggler<'a>>>);

impl From<Cancelled> for Smuggler<'_> {
    fn from(_: Cancelled) -> Self {
        Self(None)
    }
}

async fn f() {
    let result = nursery!(async |n| -> Result<(), Smuggler<'_>> { Err(Smuggler(Some(n))) }).await;
    drop(result);
}

fn main() {}

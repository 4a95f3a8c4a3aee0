//! The nursery itself is moved out of the reference.

use sc_tokio::{Cancelled, Nursery, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n: &Nursery<'_, Cancelled>| {
        let nursery = *n;
        drop(nursery);
        Ok(())
    })
    .await
}

fn main() {}

//! The nurseries of two blocks are swapped.

use sc_tokio::{Cancelled, Nursery, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |outer: &Nursery<'_, Cancelled>| {
        nursery!(async |inner: &Nursery<'_, Cancelled>| {
            std::mem::swap(outer, inner);
            Ok(())
        })
        .await
    })
    .await
}

fn main() {}

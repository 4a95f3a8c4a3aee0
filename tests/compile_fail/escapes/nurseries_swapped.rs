//! The nurseries of two blocks are swapped.

use sc_tokio::{Cancelled, Nursery, nursery};

fn swap<T>(one: &mut T, other: &mut T) {
    std::mem::swap(one, other);
}

async fn f() -> Result<(), Cancelled> {
    nursery!(async |outer: &Nursery<'_, Cancelled>| {
        nursery!(async |inner: &Nursery<'_, Cancelled>| {
            swap(outer, inner);
            Ok(())
        })
        .await
    })
    .await
}

fn main() {}

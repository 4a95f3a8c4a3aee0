//! A clone of the handle is moved into a child: it is a reference to the same.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let clone = n.clone();
        n.spawn(async move {
            clone.spawn(async {});
        });
        Ok(())
    })
    .await
}

fn main() {}

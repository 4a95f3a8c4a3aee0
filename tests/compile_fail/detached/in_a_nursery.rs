//! In the body of a `nursery!`, and in one inside another.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        tokio::spawn(async {});
        nursery!(async |inner| {
            inner.spawn(async {});
            std::thread::spawn(|| ());
            Ok::<_, Cancelled>(())
        })
        .await?;
        n.spawn(async {});
        Ok(())
    })
    .await
}

fn main() {}

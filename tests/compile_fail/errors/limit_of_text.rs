//! A limit is a number, or a `Limit`.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| { Ok::<_, Cancelled>(n.spawn(async {}).await) }).limit("8").await
}

fn main() {}

//! Something that is no policy is given as one.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |_n| Ok(())).policy("fail fast").await
}

fn main() {}

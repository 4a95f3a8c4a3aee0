//! The body returns another value than the type says.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<u32, Cancelled> {
    nursery!(async |_n| -> Result<u32, Cancelled> { Ok("one") }).await
}

fn main() {}

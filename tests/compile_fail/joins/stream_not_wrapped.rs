//! A stream is passed as if it were an iterator.

use sc_tokio::{Cancelled, join};

async fn f() -> Result<Vec<i32>, Cancelled> {
    join::map(futures::stream::iter([1, 2]), |n| async move { Ok(n) }).await
}

fn main() {}

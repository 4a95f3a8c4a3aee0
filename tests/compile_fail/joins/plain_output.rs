//! A child of a join returns no `Result`.

use sc_tokio::{Cancelled, join};

async fn f() -> Result<Vec<i32>, Cancelled> {
    join::all([1, 2].map(|n| async move { n })).await
}

fn main() {}

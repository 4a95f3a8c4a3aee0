//! The error type of a join cannot be made from `Cancelled`.

use sc_tokio::join;

async fn f() -> Result<Vec<i32>, std::fmt::Error> {
    join::all([1, 2].map(|n| async move { Ok::<_, std::fmt::Error>(n) })).await
}

fn main() {}

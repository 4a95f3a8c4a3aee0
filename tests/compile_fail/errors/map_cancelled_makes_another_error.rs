//! `map_cancelled` makes another error than the scope has.

use sc_tokio::nursery;

async fn f() -> Result<(), std::fmt::Error> {
    nursery!(async |_n| -> Result<(), std::fmt::Error> { Ok(()) })
        .map_cancelled(|cancelled| cancelled.to_string())
        .await
}

fn main() {}

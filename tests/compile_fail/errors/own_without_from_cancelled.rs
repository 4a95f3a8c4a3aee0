//! An error type of one's own cannot be made from a cancellation.

use sc_tokio::nursery;

#[derive(Debug)]
struct AppError;

async fn f() -> Result<(), AppError> {
    nursery!(async |n| {
        n.spawn(async {});
        Ok(())
    })
    .await
}

fn main() {}

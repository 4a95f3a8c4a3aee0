//! The error type has no `Debug`.

use sc_tokio::{Cancelled, nursery};

struct AppError;

impl From<Cancelled> for AppError {
    fn from(_: Cancelled) -> Self {
        Self
    }
}

async fn f() -> Result<(), AppError> {
    nursery!(async |n| {
        n.spawn(async {});
        Ok(())
    })
    .await
}

fn main() {}

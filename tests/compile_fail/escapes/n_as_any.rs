//! The handle is hidden behind `dyn Any`.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let hidden: Box<dyn std::any::Any> = Box::new(n);
        drop(hidden);
        Ok(())
    })
    .await
}

fn main() {}

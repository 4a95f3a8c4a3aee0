//! A borrowed child keeps something over an await that is not `Send`.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn_borrowed(async {
            let shared = std::rc::Rc::new(1);
            tokio::task::yield_now().await;
            Ok(*shared)
        });
        Ok(())
    })
    .await
}

fn main() {}

//! A child of a join keeps something over an await that is not `Send`.

use sc_tokio::{Cancelled, join};

async fn f() -> Result<Vec<i32>, Cancelled> {
    join::all([1, 2].map(|n| async move {
        let shared = std::rc::Rc::new(n);
        tokio::task::yield_now().await;
        Ok(*shared)
    }))
    .await
}

fn main() {}

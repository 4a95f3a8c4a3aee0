//! A child gives something that is not `Send`.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn(async { Ok(std::rc::Rc::new(1)) });
        Ok(())
    })
    .await
}

fn main() {}

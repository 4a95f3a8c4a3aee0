//! The future of `start` is moved into a task of Tokio's, by a name that the macro does not know.

use sc_tokio::{Cancelled, Ready, nursery};
use tokio::spawn as run;

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let started = n.start(async |ready: Ready<u8>| {
            ready.signal(1);
            Ok(())
        });
        run(async move { drop(started.await) });
        Ok(())
    })
    .await
}

fn main() {}

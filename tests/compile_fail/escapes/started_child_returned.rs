//! The handle that `start` gives is returned from the block.

use sc_tokio::{Cancelled, Ready, StartError, nursery};

async fn f() -> Result<(), Cancelled> {
    let escaped = nursery!(async |n| {
        let started = n.start(async |ready: Ready<u8>| {
            ready.signal(1);
            Ok(())
        });
        let (_, child) = started.await.map_err(StartError::into_error)?;
        Ok::<_, Cancelled>(child)
    })
    .await?;
    drop(escaped);
    Ok(())
}

fn main() {}

//! A nursery that uses the handle of the enclosing block is carried out of it.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let mut carried = None;
    nursery!(async |outer| {
        carried = Some(nursery!(async |_n| -> Result<(), Cancelled> {
            outer.spawn(async {});
            Ok(())
        }));
        Ok::<_, Cancelled>(())
    })
    .await?;
    carried.unwrap().await
}

fn main() {}

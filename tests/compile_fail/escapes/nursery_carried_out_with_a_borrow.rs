//! A nursery that borrows from the enclosing block is carried out of it.

use sc_tokio::{Cancelled, nursery};

async fn f() -> Result<(), Cancelled> {
    let mut carried = None;
    nursery!(async |_outer| {
        let text = String::from("inside");
        carried = Some(nursery!(async |n| -> Result<usize, Cancelled> {
            let length = n.spawn_borrowed(async { Ok(text.len()) });
            Ok(length.await)
        }));
        Ok::<_, Cancelled>(())
    })
    .await?;
    carried.unwrap().await?;
    Ok(())
}

fn main() {}

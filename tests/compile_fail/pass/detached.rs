//! What the scan for detached tasks lets through: the twins of `detached`.

use sc_tokio::{Cancelled, nursery, scoped};

mod pool {
    pub mod task {
        pub fn spawn(_: u32) {}
    }
}

#[scoped(|n|)]
async fn owned() -> Result<u32, Cancelled> {
    let children = vec![n.spawn(async { Ok(1) }), n.spawn_blocking(|_cx| Ok(2))];
    let mut sum = 0;
    for child in children {
        sum += child.await;
    }
    Ok(sum)
}

#[scoped(allow(tokio_spawn))]
async fn allowed() -> Result<(), Cancelled> {
    let task = tokio::spawn(async {});
    assert!(task.await.is_ok());
    Ok(())
}

async fn others_of_that_name() -> Result<(), Cancelled> {
    nursery!(async |_n| {
        self::pool::task::spawn(1);
        println!("tokio::spawn in text");
        tokio::task::yield_now().await;
        Ok(())
    })
    .await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Cancelled> {
    assert_eq!(owned().await?, 3);
    allowed().await?;
    others_of_that_name().await
}

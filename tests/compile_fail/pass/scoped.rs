//! What `#[scoped]` takes: the twins of `scoped`.

use std::time::Duration;

use sc_tokio::{Cancelled, Supervise, scoped};

type Page<T = u32> = Result<T, Cancelled>;

#[scoped(|n|, policy = Supervise, timeout = Duration::from_secs(9), grace = Duration::ZERO, name = "page")]
async fn with_options(text: &str) -> Page<usize> {
    let length = n.spawn_borrowed(async { Ok(text.len()) });
    Ok(length.await)
}

#[scoped(|n|, grace = Duration::ZERO)]
async fn without_a_result() {
    n.spawn(async {});
}

#[scoped]
async fn impl_trait() -> Result<impl std::fmt::Display, Cancelled> {
    Ok("text")
}

trait Work {
    async fn work(&self) -> Page;
}

impl Work for u32 {
    #[scoped(|n|)]
    async fn work(&self) -> Page {
        let number = *self;
        Ok(n.spawn(async move { Ok(number) }).await)
    }
}

#[async_trait::async_trait]
trait Count {
    async fn count(&self) -> Page;
}

#[async_trait::async_trait]
impl Count for u32 {
    #[scoped(|n|)]
    async fn count(&self) -> Page {
        Ok(n.spawn_borrowed(async { Ok(*self) }).await)
    }
}

#[scoped(|n|)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Cancelled> {
    n.spawn(async {});
    assert_eq!(with_options("four").await?, 4);
    without_a_result().await;
    assert_eq!(impl_trait().await?.to_string(), "text");
    assert_eq!(1.work().await? + 2.count().await?, 3);
    Ok(())
}

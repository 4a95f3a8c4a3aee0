//! A plain return type under `#[async_trait]`.

use sc_tokio::scoped;

struct Work;

#[async_trait::async_trait]
trait Count {
    async fn count(&self) -> u32;
}

#[async_trait::async_trait]
impl Count for Work {
    #[scoped(|n|)]
    async fn count(&self) -> u32 {
        n.spawn(async {});
        1
    }
}

fn main() {}

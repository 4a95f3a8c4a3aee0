//! An `impl` block.

use sc_tokio::{Cancelled, scoped};

struct Work;

#[scoped]
impl Work {
    async fn work(&self) -> Result<(), Cancelled> {
        Ok(())
    }
}

fn main() {}

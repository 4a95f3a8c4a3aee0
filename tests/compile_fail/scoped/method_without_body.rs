//! A method that the trait only declares.

use sc_tokio::{Cancelled, scoped};

trait Work {
    #[scoped]
    async fn work(&self) -> Result<(), Cancelled>;
}

fn main() {}

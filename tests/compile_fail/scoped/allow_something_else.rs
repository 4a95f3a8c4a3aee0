//! The check that is switched off does not exist.

use sc_tokio::{Cancelled, scoped};

#[scoped(allow(everything))]
async fn f() -> Result<(), Cancelled> {
    Ok(())
}

fn main() {}

//! A child returns another error type than its `#[scoped]` function.

use sc_tokio::{Cancelled, scoped};

async fn read() -> Result<u8, std::fmt::Error> {
    Ok(1)
}

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    n.spawn(read());
    Ok(())
}

fn main() {}

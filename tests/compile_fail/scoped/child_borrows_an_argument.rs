//! A child, which is a task of its own, borrows an argument.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f(text: &str) -> Result<(), Cancelled> {
    n.spawn(async { Ok(text.len()) });
    Ok(())
}

fn main() {}

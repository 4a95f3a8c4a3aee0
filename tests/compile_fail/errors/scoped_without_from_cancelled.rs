//! The same of a `#[scoped]` function.

use sc_tokio::scoped;

#[scoped(|n|)]
async fn f() -> Result<(), std::fmt::Error> {
    n.spawn(async {});
    Ok(())
}

fn main() {}

//! A borrowed child borrows a local of the function.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    let text = String::from("inside");
    n.spawn_borrowed(async { Ok(text.len()) });
    Ok(())
}

fn main() {}

//! A `#[scoped]` function stores a child's handle where its argument points.

use sc_tokio::{Cancelled, Child, scoped};

#[scoped(|n|)]
async fn f<'a>(stored: &mut Option<Child<'a, (), Cancelled>>) -> Result<(), Cancelled> {
    *stored = Some(n.spawn(async {}));
    Ok(())
}

fn main() {}

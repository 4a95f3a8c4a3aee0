//! A child of an owned scope borrows from the function that spawns it.

use sc_tokio::{Cancelled, OwnedScope};

async fn f(owned: &OwnedScope<Cancelled>) {
    let local = String::new();
    owned.spawn(async { Ok(local.len()) });
}

fn main() {}

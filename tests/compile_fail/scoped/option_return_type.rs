//! A function that returns an `Option`, by another name.

use sc_tokio::scoped;

type Found = Option<u32>;

#[scoped(|n|)]
async fn f() -> Found {
    n.spawn(async {});
    None
}

fn main() {}

//! A function that returns something plain.

use sc_tokio::scoped;

#[scoped(|n|)]
async fn f() -> u32 {
    n.spawn(async {});
    1
}

fn main() {}

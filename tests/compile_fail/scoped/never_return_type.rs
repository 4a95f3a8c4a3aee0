//! A function that does not return.

use sc_tokio::scoped;

#[scoped]
async fn f() -> ! {
    std::future::pending().await
}

fn main() {}

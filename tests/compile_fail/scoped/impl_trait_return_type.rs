//! A function that returns `impl Trait` and no `Result`.

use sc_tokio::scoped;

#[scoped]
async fn f() -> impl std::fmt::Display {
    "text"
}

fn main() {}

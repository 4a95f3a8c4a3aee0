//! Parallel children of a join borrow from around it.

use sc_tokio::{Cancelled, join};

async fn length(text: &str) -> Result<usize, Cancelled> {
    Ok(text.len())
}

async fn f() -> Result<Vec<usize>, Cancelled> {
    let texts = [String::from("a")];
    join::all(texts.iter().map(|text| length(text))).parallel().await
}

fn main() {}

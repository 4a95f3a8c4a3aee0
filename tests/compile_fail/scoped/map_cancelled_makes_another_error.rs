//! The closure gives the function's error type.

use sc_tokio::scoped;

#[scoped(map_cancelled = |_| String::new())]
async fn render() -> Result<(), std::fmt::Error> {
    Ok(())
}

#[tokio::main]
async fn main() {
    let _ = render().await;
}

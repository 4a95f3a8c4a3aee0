//! A cancellation becomes one error.

use sc_tokio::scoped;

#[scoped(map_cancelled = |_| std::fmt::Error, map_cancelled = |_| std::fmt::Error)]
async fn render() -> Result<(), std::fmt::Error> {
    Ok(())
}

#[tokio::main]
async fn main() {
    let _ = render().await;
}

//! A cancellation becomes one error; the second closure would never be called.

use sc_tokio::nursery;

#[tokio::main]
async fn main() {
    let _ = nursery!(async |_n| -> Result<(), std::fmt::Error> { Ok(()) })
        .map_cancelled(|_| std::fmt::Error)
        .map_cancelled(|_| std::fmt::Error)
        .await;
}

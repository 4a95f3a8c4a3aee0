//! The closure is handed the notice.

use sc_tokio::nursery;

#[tokio::main]
async fn main() {
    let _ = nursery!(async |_n| -> Result<(), std::fmt::Error> { Ok(()) })
        .map_cancelled(|| std::fmt::Error)
        .await;
}

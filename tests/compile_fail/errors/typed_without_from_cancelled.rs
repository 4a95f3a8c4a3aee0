//! The same where the return type is written, so that rustc knows it before it comes to `.await`.

use sc_tokio::nursery;

async fn f() -> Result<(), std::fmt::Error> {
    nursery!(async |_n| -> Result<(), std::fmt::Error> { Ok(()) }).await
}

fn main() {}

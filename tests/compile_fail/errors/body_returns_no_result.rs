//! The return type is no `Result`.

use sc_tokio::nursery;

async fn f() {
    nursery!(async |_n| -> u32 { 1 }).await;
}

fn main() {}

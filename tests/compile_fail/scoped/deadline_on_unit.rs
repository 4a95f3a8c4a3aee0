//! Options that fail, on a function that returns nothing.

use sc_tokio::scoped;

#[scoped(|n|, timeout = Duration::ZERO, deadline = Instant::now(), map_cancelled = AppError::Stopped)]
async fn f() {
    n.spawn(async {});
}

fn main() {}

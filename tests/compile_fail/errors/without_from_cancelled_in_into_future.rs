//! The same where a future is asked for.

use sc_tokio::nursery;

fn f() -> impl Future<Output = Result<(), std::fmt::Error>> {
    nursery!(async |_n| Ok(())).into_future()
}

fn main() {}

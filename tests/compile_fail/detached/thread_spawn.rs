//! `std::thread::spawn`.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    std::thread::spawn(|| ());
    n.spawn(async {});
    Ok(())
}

fn main() {}

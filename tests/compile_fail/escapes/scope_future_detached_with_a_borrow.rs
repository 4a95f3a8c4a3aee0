//! A scope whose child borrows is handed to a task of its own.

use sc_tokio::{Cancelled, nursery};

async fn f(text: &str) {
    tokio::spawn(
        nursery!(async |n| -> Result<usize, Cancelled> {
            let length = n.spawn_borrowed(async { Ok(text.len()) });
            Ok(length.await)
        })
        .into_future(),
    );
}

fn main() {}

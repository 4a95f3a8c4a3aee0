//! A join is detached, and its children borrow.

use sc_tokio::{Cancelled, join};

async fn f() {
    let texts = [String::from("a")];
    let all = join::all(texts.iter().map(|text| async move { Ok::<_, Cancelled>(text.len()) }));
    tokio::task::spawn(all.into_future());
}

fn main() {}

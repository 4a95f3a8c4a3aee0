//! In the arguments of a macro call.

use sc_tokio::{Cancelled, scoped};

#[scoped(|n|)]
async fn f() -> Result<(), Cancelled> {
    let tasks = vec![tokio::spawn(async {})];
    assert_eq!(tasks.len(), 1);
    n.spawn(async {});
    Ok(())
}

fn main() {}

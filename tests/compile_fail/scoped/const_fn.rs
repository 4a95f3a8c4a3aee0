//! A `const fn`.

use sc_tokio::{Cancelled, scoped};

#[scoped]
const fn f() -> Result<(), Cancelled> {
    Ok(())
}

fn main() {}

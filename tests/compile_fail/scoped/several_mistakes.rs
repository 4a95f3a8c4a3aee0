//! Mistakes of every sort are reported together.

use sc_tokio::scoped;

#[scoped(|n|, grac = 1, timeout)]
const fn f() -> u32 {
    tokio::spawn(n.cancelled());
    1
}

fn main() {}

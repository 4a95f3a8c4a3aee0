//! A scope is made by hand.

use sc_tokio::{Cancelled, Scope};

fn f() -> Scope<Cancelled> {
    Scope { node: Default::default(), error: Default::default() }
}

fn main() {}

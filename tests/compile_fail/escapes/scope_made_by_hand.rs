//! A scope is made by hand.

use sc_tokio::{Cancelled, Scope};

fn f(scope: Scope<Cancelled>) -> Scope<Cancelled> {
    Scope { ..scope }
}

fn main() {}

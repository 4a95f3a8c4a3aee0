//! A scope has one owner; to share it, share the owner.

use sc_tokio::{Cancelled, OwnedScope};

fn f(owned: &OwnedScope<Cancelled>) -> OwnedScope<Cancelled> {
    owned.clone()
}

fn main() {}

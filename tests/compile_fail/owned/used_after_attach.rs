//! A scope that was attached to a stream is its stream's: nobody else spawns into it.

use sc_tokio::{Attached, Cancelled, OwnedScope};

fn f(owned: OwnedScope<Cancelled>) -> Attached<Vec<u8>> {
    let attached = owned.attach(Vec::new());
    owned.spawn(async {});
    attached
}

fn main() {}

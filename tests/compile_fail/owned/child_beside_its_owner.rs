//! A struct keeps a child's handle beside the scope that the handle borrows.

use sc_tokio::{Cancelled, Child, OwnedScope};

struct Connection<'n> {
    scope: OwnedScope<Cancelled>,
    reader: Child<'n, (), Cancelled>,
}

fn open<'n>() -> Connection<'n> {
    let scope = OwnedScope::<Cancelled>::new();
    let reader = scope.spawn(async {});
    Connection { scope, reader }
}

fn main() {}

//! A value is bound for children that may outlive the code that binds it, so it cannot borrow from there.

use sc_tokio::scope_local;

scope_local! { static NAME: &'static str }

fn main() {
    let name = String::from("Ada");
    NAME.sync_scope(&name, || ());
}

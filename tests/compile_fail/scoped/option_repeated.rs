//! An option that is given twice.

use std::time::Duration;

use sc_tokio::{Cancelled, scoped};

const LIMIT: Duration = Duration::ZERO;

#[scoped(timeout = LIMIT, grace = LIMIT, timeout = LIMIT)]
async fn f() -> Result<(), Cancelled> {
    Ok(())
}

fn main() {}

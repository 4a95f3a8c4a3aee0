//! A constant.

use sc_tokio::scoped;

#[scoped]
const LIMIT: u32 = 1;

fn main() {}

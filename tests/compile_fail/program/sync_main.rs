#[sc_tokio::main]
fn main() {}

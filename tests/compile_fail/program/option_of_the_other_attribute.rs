#[sc_tokio::main(leaks = "allow")]
async fn main() {}

#[sc_tokio::main(drain = 20)]
async fn main() {}

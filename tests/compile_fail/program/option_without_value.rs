#[sc_tokio::main(pre_drain)]
async fn main() {}

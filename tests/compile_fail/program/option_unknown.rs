#[sc_tokio::main(drian = std::time::Duration::from_secs(1))]
async fn main() {}

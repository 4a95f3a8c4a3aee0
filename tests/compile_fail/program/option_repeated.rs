#[sc_tokio::main(signals = false, signals = true)]
async fn main() {}

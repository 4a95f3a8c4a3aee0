#[sc_tokio::main(drian = 1, worker_threads = 0, "drain")]
async fn main() {}

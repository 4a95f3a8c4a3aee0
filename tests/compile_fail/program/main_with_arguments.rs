#[sc_tokio::main]
async fn main(arguments: Vec<String>) {}

#[sc_tokio::main]
async fn main() -> u8 {
    1
}
